// SPDX-License-Identifier: GPL-2.0-only
//
// The text format of Prometheus, for the textfile collector of its node exporter.
#include "metrics.hpp"
#include "print.hpp"

namespace vapicstat {

namespace {

// A label must be UTF-8, and people look at these files on terminals.
std::string quoted(const std::string &value)
{
	std::string text = "\"";

	for (const char c : printable(value)) {
		if (c == '\\' || c == '"')
			text += '\\';
		text += c;
	}
	return text + "\"";
}

using Labels = std::vector<std::pair<std::string, std::string>>;

// One metric with all its samples; nothing at all if it has none.
class Family {
public:
	Family(std::string name, const char *type, const std::string &help)
		: name_(std::move(name)),
		  heading_("# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " " + type + "\n")
	{
	}

	void add(const Labels &labels, std::uint64_t number)
	{
		std::string list;

		for (const auto &[key, of] : labels)
			list += (list.empty() ? "" : ",") + key + "=" + quoted(of);
		samples_ += name_ + "{" + list + "} " + std::to_string(number) + "\n";
	}
	[[nodiscard]] std::string text() const
	{
		return samples_.empty() ? "" : heading_ + samples_;
	}

private:
	std::string name_, heading_, samples_;
};

Labels labels_of(const Vm &vm)
{
	Labels labels = {{"vm", vm.name}, {"pid", std::to_string(vm.pid)}};

	// Two samples must not have the same labels.
	if (vm.index)
		labels.emplace_back("index", std::to_string(vm.index));
	return labels;
}

Labels with(Labels labels, const std::string &key, const std::string &of)
{
	labels.emplace_back(key, of);
	return labels;
}

} // namespace

std::string prometheus(const Snapshot &now)
{
	Family host("vapic_host_info", "gauge", "How the host accelerates guests' interrupts");
	Family active("vapic_vcpu_active", "gauge",
		      "Whether a vCPU's interrupts are accelerated now");
	Family vm_active("vapic_vm_active", "gauge", "Whether nothing inhibits the VM");
	Family inhibited("vapic_vm_inhibited", "gauge",
			 "What inhibits the VM; expected: concluded only");
	std::string text;

	host.add({{"mode", mode(now.host)},
		  {"kernel", now.host.kernel},
		  {"vapic", now.host.vapic.loaded ? now.host.vapic.version : ""}},
		 1);
	for (const Vm &vm : now.vms) {
		const Labels labels = labels_of(vm);

		if (vm.active)
			vm_active.add(labels, *vm.active);
		for (const std::string &name : vm.inhibits.value_or(Names{}))
			inhibited.add(with(with(labels, "inhibit", name), "expected", "0"), 1);
		if (!vm.inhibits && !vm.active)
			for (const std::string &name : expected_inhibits(now.host, vm))
				inhibited.add(with(with(labels, "inhibit", name), "expected", "1"),
					      1);
		for (const Vcpu &vcpu : vm.vcpus)
			if (vcpu.active)
				active.add(with(labels, "vcpu", std::to_string(vcpu.id)),
					   *vcpu.active);
	}
	for (const Family *family : {&host, &vm_active, &active, &inhibited})
		text += family->text();
	for (const Metric &metric : metrics()) {
		Family family(std::string("vapic_vm_") + metric.name + "_total", "counter",
			      metric.help);

		for (const Vm &vm : now.vms)
			if (const auto count = value(metric, vm))
				family.add(labels_of(vm), *count);
		text += family.text();
	}
	return text;
}

} // namespace vapicstat
