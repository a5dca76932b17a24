// SPDX-License-Identifier: GPL-2.0-only
#include "metrics.hpp"
#include "print.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace vapicstat {

namespace {

std::string join(const Names &names, const char *separator)
{
	std::string text;

	for (const std::string &name : names)
		text += (text.empty() ? "" : separator) + name;
	return text;
}

std::string cell(const std::string &value, std::size_t width)
{
	std::string text = printable(value);

	if (text.size() > width)
		text = text.substr(0, width - 1) + "+";
	return text + std::string(width - text.size(), ' ');
}

std::string right(const std::string &value, std::size_t width)
{
	return value.size() >= width ? value : std::string(width - value.size(), ' ') + value;
}

std::string yes_or_no(const std::optional<bool> &value)
{
	return !value ? "?" : *value ? "yes" : "no";
}

using Columns = std::vector<const Metric *>;

// Those of which anything is known.
Columns columns_of(const Snapshot &now)
{
	Columns columns;

	for (const Metric &metric : metrics())
		if (std::any_of(now.vms.begin(), now.vms.end(),
				[&metric](const Vm &vm) { return value(metric, vm).has_value(); }))
			columns.push_back(&metric);
	return columns;
}

constexpr std::size_t kName = 20, kPid = 8, kActive = 7, kInhibits = 20, kFigure = 10;

template <typename T>
std::string figures(const Columns &columns, const T &now, const T *before, bool rates,
		    double seconds)
{
	std::string text;

	for (const Metric *column : columns) {
		const Metric &metric = *column;
		std::string shown = "-";

		if (rates) {
			if (const auto one = rate(metric, now, before, seconds))
				shown = std::to_string(std::llround(*one));
		} else if (const auto count = value(metric, now)) {
			shown = std::to_string(*count);
		}
		text += " " + right(shown, kFigure);
	}
	return text;
}

const char *how_known(State state)
{
	switch (state) {
	case State::kMaybe:
		return "if the guest uses it";
	case State::kExpected:
		return "by host and command line";
	case State::kReported:
		return "now";
	case State::kNo:
		break;
	}
	return "";
}

void add_line(std::string &text, const char *label, const std::string &line)
{
	if (!line.empty())
		text += "    " + cell(label, 9) + printable(line) + "\n";
}

std::string or_empty(const char *text)
{
	return text ? text : "";
}

// Users of libvirt write XML, others options. Of other programs nobody knows.
std::string changes(const Reason &reason, const Qemu *qemu)
{
	std::string text;

	if (!qemu || !qemu->libvirt)
		add_line(text, "qemu:", qemu_change(reason, qemu));
	if (!qemu || qemu->libvirt)
		add_line(text, "libvirt:", or_empty(reason.libvirt));
	add_line(text, "host:", or_empty(reason.host));
	add_line(text, "guest:", or_empty(reason.guest));
	if (text.empty())
		add_line(text, "change:", "none");
	return text;
}

std::string paragraph(const Finding &finding, const Qemu *qemu)
{
	std::string text = "  " + finding.name;
	const char *known = how_known(finding.state);

	if (*known)
		text += std::string(" (") + known + ")";
	if (!finding.vcpus.empty()) {
		Names ids;

		for (const unsigned id : finding.vcpus)
			ids.push_back(std::to_string(id));
		text += ", vCPU " + join(ids, ", ");
	}
	text += "\n";
	if (!finding.reason)
		return text + "    This inhibit is newer than this vapicstat.\n";
	return text + "    " + finding.reason->what + "\n" + changes(*finding.reason, qemu);
}

Kind kind_of(const Finding &finding)
{
	return finding.reason ? finding.reason->kind : Kind::kInhibit;
}

} // namespace

std::string printable(const std::string &value)
{
	std::string text;

	for (const char c : value)
		text += c >= ' ' && c <= '~' ? c : '?';
	return text;
}

std::string mode(const Host &host)
{
	if (!host.accelerated.value_or(false))
		return "off";
	if (host.cpu.vendor == Vendor::kAmd)
		return host.cpu.x2avic ? "x2AVIC" : "AVIC";
	return host.ipiv.value_or(false) ? "APICv+IPIv" : "APICv";
}

std::string describe(const Host &host)
{
	const char *const vendors[] = {"unknown", "AMD", "Intel"};
	char family[16];

	std::snprintf(family, sizeof(family), "%xh", host.cpu.family);
	return std::string(vendors[static_cast<int>(host.cpu.vendor)]) + " family " + family +
	       ", Linux " + host.kernel + ", " +
	       (host.vapic.loaded ? "vapic " + host.vapic.version +
					    (host.vapic.took_over ? "" : " (took over nothing)") :
		host.accelerated ? "stock KVM" :
				   "KVM is not loaded") +
	       ", " + mode(host);
}

std::string active(const Vm &vm)
{
	const auto count = std::count_if(vm.vcpus.begin(), vm.vcpus.end(),
					 [](const Vcpu &vcpu) { return vcpu.active == true; });
	const auto total = static_cast<std::ptrdiff_t>(vm.vcpus.size());

	if (vm.active == true && total && count != total)
		return std::to_string(count) + "/" + std::to_string(total);
	return yes_or_no(vm.active);
}

std::string inhibits(const Host &host, const Vm &vm)
{
	if (vm.inhibits)
		return vm.inhibits->empty() ? "-" : join(*vm.inhibits, ",");
	if (vm.active == false)
		return "-";
	const Names expected = expected_inhibits(host, vm);

	return expected.empty() ? "?" : join(expected, "?,") + "?";
}

std::string inhibits(const Vm &vm, const Vcpu &vcpu)
{
	if (!vm.inhibits)
		return vm.active == false ? "-" : "?";
	if (!vcpu.never.empty())
		return "never:" + vcpu.never;
	return vcpu.inhibits.empty() ? "-" : join(vcpu.inhibits, ",");
}

Names table(const Snapshot &now, const Snapshot *earlier, bool with_vcpus)
{
	const double seconds = earlier ? now.seconds - earlier->seconds : 0;
	std::string heading = cell("VM", kName) + " " + cell("PID", kPid) + " " +
			      cell("ACTIVE", kActive) + " " + cell("INHIBITS", kInhibits);
	const Columns columns = columns_of(now);
	Names rows;

	for (const Metric *column : columns)
		heading +=
			" " + right(std::string(column->heading) + (earlier ? "/s" : ""), kFigure);
	rows.push_back(heading);
	for (const Vm &vm : now.vms) {
		const Vm *before = earlier ? same(*earlier, vm) : nullptr;

		rows.push_back(cell(vm.name.empty() ? "?" : vm.name, kName) + " " +
			       cell(vm.pid ? std::to_string(vm.pid) : "?", kPid) + " " +
			       cell(active(vm), kActive) + " " +
			       cell(inhibits(now.host, vm), kInhibits) +
			       figures(columns, vm, before, earlier != nullptr, seconds));
		for (const Vcpu &vcpu : vm.vcpus)
			if (with_vcpus)
				rows.push_back(cell("  vCPU " + std::to_string(vcpu.id), kName) +
					       " " + cell("", kPid) + " " +
					       cell(yes_or_no(vm.active == false ? vm.active :
										   vcpu.active),
						    kActive) +
					       " " + cell(inhibits(vm, vcpu), kInhibits) +
					       figures(columns, vcpu,
						       before ? same(*before, vcpu) : nullptr,
						       earlier != nullptr, seconds));
	}
	if (now.vms.empty())
		rows.push_back("no VM");
	return rows;
}

std::string text(const Snapshot &now, const Snapshot *earlier, bool with_vcpus)
{
	return describe(now.host) + "\n" + join(table(now, earlier, with_vcpus), "\n") + "\n" +
	       (now.notes.empty() ? "" : "note: " + join(now.notes, "\nnote: ") + "\n");
}

std::string explanation(const Host &host)
{
	std::string text = describe(host) + "\n";

	for (const Finding &finding : explain(host))
		text += paragraph(finding, nullptr);
	return text;
}

std::string explanation(const Host &host, const Vm &vm)
{
	const Qemu *qemu = vm.qemu ? &*vm.qemu : nullptr;
	const std::vector<Finding> found = explain(host, vm);
	std::string text = (vm.name.empty() ? "?" : printable(vm.name)) + " (pid " +
			   std::to_string(vm.pid) + "): ";
	std::string exits;

	text += vm.active == false ? "not accelerated\n" :
		vm.active == true  ? "accelerated: " + active(vm) + "\n" :
		expected_inhibits(host, vm).empty() ?
				    "stock KVM does not say whether it is accelerated\n" :
				    "probably not accelerated; stock KVM does not say\n";
	for (const Finding &finding : found)
		(kind_of(finding) == Kind::kInhibit ? text : exits) += paragraph(finding, qemu);
	for (const Vcpu &vcpu : vm.vcpus)
		if (!vcpu.never.empty())
			text += "  vCPU " + std::to_string(vcpu.id) +
				" is never accelerated: " + vcpu.never + "\n";
	if (!exits.empty())
		text += " These exit even if nothing inhibits:\n" + exits;
	if (!qemu && vm.inhibits)
		text += " It is no QEMU, or its command line is not to be seen: causes there are "
			"not named.\n";
	return text;
}

std::string all_reasons()
{
	std::string text;

	for (const Reason &reason : reasons())
		text += paragraph({reason.name, &reason, State::kNo, {}}, nullptr);
	return text;
}

} // namespace vapicstat
