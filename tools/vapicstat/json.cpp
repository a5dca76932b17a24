// SPDX-License-Identifier: GPL-2.0-only
#include "metrics.hpp"
#include "print.hpp"

#include <nlohmann/json.hpp>

namespace vapicstat {

namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json or_null(const std::optional<T> &value)
{
	return value ? Json(*value) : Json(nullptr);
}

Json object(const Counts &counts)
{
	Json json = Json::object();

	for (const auto &[name, count] : counts)
		json[name] = count;
	return json;
}

template <typename T>
Json rates_of(const T &now, const T *before, double seconds)
{
	Json json = Json::object();

	for (const Metric &metric : metrics())
		json[metric.name] = or_null(rate(metric, now, before, seconds));
	return json;
}

Json host_json(const Host &host)
{
	const char *const vendors[] = {"none", "amd", "intel"};
	Json vapic = nullptr;

	if (host.vapic.loaded)
		vapic = {{"version", host.vapic.version},
			 {"audit", host.vapic.audit},
			 {"took_over", host.vapic.took_over}};
	return {{"kernel", host.kernel},
		{"mode", mode(host)},
		{"accelerated", or_null(host.accelerated)},
		{"vapic", vapic},
		{"cpu",
		 {{"vendor", vendors[static_cast<int>(host.cpu.vendor)]},
		  {"family", host.cpu.family},
		  {"avic", host.cpu.avic},
		  {"x2avic", host.cpu.x2avic},
		  {"apicv", host.cpu.apicv},
		  {"ipi_virtualization", host.cpu.ipi_virt},
		  {"idle_hlt", host.cpu.idle_hlt}}}};
}

Json reasons_json(const std::vector<Finding> &found)
{
	const char *const states[] = {"no", "maybe", "expected", "reported"};
	Json json = Json::array();

	for (const Finding &finding : found)
		json.push_back({{"name", finding.name},
				{"state", states[static_cast<int>(finding.state)]}});
	return json;
}

} // namespace

std::string json(const Snapshot &now, const Snapshot *earlier)
{
	const double seconds = earlier ? now.seconds - earlier->seconds : 0;
	Json json = {{"format", 1}, {"host", host_json(now.host)}, {"vms", Json::array()}};

	json["host"]["reasons"] = reasons_json(explain(now.host));
	for (const Vm &vm : now.vms) {
		const Vm *before = earlier ? same(*earlier, vm) : nullptr;
		Json vcpus = Json::array();

		for (const Vcpu &vcpu : vm.vcpus) {
			vcpus.push_back(
				{{"id", vcpu.id},
				 {"active", or_null(vcpu.active)},
				 {"inhibits", vm.inhibits ? Json(vcpu.inhibits) : Json(nullptr)},
				 {"never", vcpu.never.empty() ? Json(nullptr) : Json(vcpu.never)},
				 {"vapic", object(vcpu.vapic)},
				 {"kvm", object(vcpu.kvm)}});
			if (earlier)
				vcpus.back()["rates"] = rates_of(
					vcpu, before ? same(*before, vcpu) : nullptr, seconds);
		}
		json["vms"].push_back({{"pid", vm.pid},
				       {"name", vm.name},
				       {"active", or_null(vm.active)},
				       {"inhibits", or_null(vm.inhibits)},
				       {"expected_inhibits", expected_inhibits(now.host, vm)},
				       {"reasons", reasons_json(explain(now.host, vm))},
				       {"kvm", object(vm.kvm)},
				       {"vcpus", vcpus}});
		if (earlier)
			json["vms"].back()["rates"] = rates_of(vm, before, seconds);
	}
	json["notes"] = now.notes;
	// A name may be anything: what is no UTF-8 is replaced, and what terminals obey, escaped.
	return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

} // namespace vapicstat
