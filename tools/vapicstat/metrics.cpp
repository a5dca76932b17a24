// SPDX-License-Identifier: GPL-2.0-only
#include "metrics.hpp"

#include <algorithm>

namespace vapicstat {

namespace {

// Names of KVM's statistics, and of Documentation/ABI/testing/sysfs-kernel-vapic.
constexpr const char *kExits[] = {"exits"};
constexpr const char *kHalts[] = {"halt_exits"};
constexpr const char *kInjected[] = {"irq_injections"};
constexpr const char *kHypercalls[] = {"hypercalls"};
constexpr const char *kIpis[] = {"ipi_type", "ipi_not_running", "ipi_target", "ipi_vector",
				 "apic_write"};
constexpr const char *kAccesses[] = {"access_trap", "access_fault", "apic_access", "eoi_induced"};
constexpr const char *kWoken[] = {"woken"};

constexpr Metric kMetrics[] = {
	{"exits", "EXITS", "VM exits", false, kExits},
	{"halts", "HALTS", "exits by HLT", false, kHalts},
	{"hypercalls", "HCALLS", "hypercalls, PV IPIs among them", false, kHypercalls},
	{"injected", "INJECTED", "interrupts that KVM injected: none while accelerated", false,
	 kInjected},
	{"ipi_exits", "IPIEXITS",
	 "exits by IPIs; on Intel by all writes to the APIC, IPIs among them", true, kIpis},
	{"access_exits", "ACCESSES", "exits by other accesses to the APIC", true, kAccesses},
	{"woken", "WOKEN", "vCPUs found asleep by IPIs, or woken by the wakeup vector", true,
	 kWoken},
};

std::optional<std::uint64_t> sum(const Metric &metric, const Counts &counts)
{
	std::optional<std::uint64_t> total;

	for (const auto &[name, count] : counts)
		if (std::any_of(metric.of.begin(), metric.of.end(),
				[&name = name](const char *one) { return name == one; }))
			total = total.value_or(0) + count;
	return total;
}

} // namespace

std::span<const Metric> metrics()
{
	return kMetrics;
}

std::optional<std::uint64_t> value(const Metric &metric, const Vcpu &vcpu)
{
	return sum(metric, metric.of_vapic ? vcpu.vapic : vcpu.kvm);
}

std::optional<std::uint64_t> value(const Metric &metric, const Vm &vm)
{
	std::optional<std::uint64_t> total;

	if (!metric.of_vapic)
		return sum(metric, vm.kvm);
	for (const Vcpu &vcpu : vm.vcpus)
		if (const auto one = value(metric, vcpu))
			total = total.value_or(0) + *one;
	return total;
}

const Vm *same(const Snapshot &earlier, const Vm &vm)
{
	for (const Vm &other : earlier.vms)
		if (other.pid == vm.pid && other.index == vm.index)
			return &other;
	return nullptr;
}

const Vcpu *same(const Vm &earlier, const Vcpu &vcpu)
{
	for (const Vcpu &other : earlier.vcpus)
		if (other.id == vcpu.id)
			return &other;
	return nullptr;
}

} // namespace vapicstat
