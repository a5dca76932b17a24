// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands in for an assigned device and an IOMMU that can post, by VT-d's rules: the kernel is
 * told that there is such an IOMMU, and KVM that an interrupt of ours is the one behind an
 * eventfd. What KVM asks the interrupt chip to do decides what happens to an interrupt: it is
 * posted to the descriptor that KVM named, as hardware would do it, or the eventfd is signalled,
 * as VFIO does in its handler of an interrupt that is remapped.
 *
 * In /sys/module/fake_device/parameters:
 *   eventfd=N   a descriptor of whoever writes it; -1 takes the device away
 *   fire=N      raise N interrupts, one behind the other
 *   counts      interrupts posted with a notification by the notification vector, by the wakeup
 *               vector, with none since SN was set, and with none since ON was; those remapped
 *   irq         number of the interrupt
 *   posts       whether the kernel is told of an IOMMU that can post: on Intel, unless said; on AMD
 *               all posting fails
 *   remap=1     post nothing nevertheless, whatever KVM asked for
 *   cpu=N       the CPU that takes interrupts which are remapped; -1: the one that raises them
 */
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqbypass.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/smp.h>

#include <asm/apic.h>
#include <asm/irq_remapping.h>
#include <asm/irq_vectors.h>

/* Kbuild looks for what the kernel's headers have. */
#if OLD_POSTING
#define intel_iommu_pi_data vcpu_data
#endif

#if OLD_EVENTFD
#define eventfd_signal(context) eventfd_signal(context, 1)
#endif

#if OLD_APIC
#define __apic_send_IPI_mask(mask, vector) apic->send_IPI_mask(mask, vector)
#endif

#if OLD_BYPASS
static int register_producer(struct irq_bypass_producer *producer, struct eventfd_ctx *eventfd,
			     int irq)
{
	producer->token = eventfd;
	producer->irq = irq;
	return irq_bypass_register_producer(producer);
}
#else
#define register_producer irq_bypass_register_producer
#endif

/* The descriptor as the manual has it: kernels have it in different headers. */
struct descriptor {
	unsigned long pir[4];
	u64 control;
	u64 reserved[3];
};

enum { ON = BIT(0), SN = BIT(1) };

enum { NOTIFIED, WOKEN, SUPPRESSED, OUTSTANDING, REMAPPED, COUNTS };

static struct irq_bypass_producer device;
static struct eventfd_ctx *context; /* NULL: no device */
static bool posts, remap, by_vtd;
static int cpu = -1, irq;
static atomic64_t counts[COUNTS];

/* The entry of the remapping table. Nobody posts by the old one once it has been changed. */
static DEFINE_RAW_SPINLOCK(entry_lock);
static struct descriptor *descriptor; /* NULL: remapped */
static u8 posted_vector;

static int set_vcpu_affinity(struct irq_data *data, void *info)
{
	const struct intel_iommu_pi_data *to = info;

	if (!by_vtd)
		return -EOPNOTSUPP;
	guard(raw_spinlock_irqsave)(&entry_lock);
	descriptor = to ? phys_to_virt(to->pi_desc_addr) : NULL;
	posted_vector = to ? to->vector : 0;
	return 0;
}

static void ignore(struct irq_data *data) {}

static struct irq_chip chip = {
	.name = "fake_device",
	.irq_mask = ignore,
	.irq_unmask = ignore,
	.irq_ack = ignore,
	.irq_set_vcpu_affinity = set_vcpu_affinity,
};

static void notify(u64 control)
{
	u8 vector = control >> 16;
	u32 destination = control >> 32;
	int target;

	if (!x2apic_mode)
		destination = destination >> 8 & 0xff;
	for_each_online_cpu(target)
	{
		if (cpu_physical_id(target) != destination)
			continue;
		__apic_send_IPI_mask(cpumask_of(target), vector);
		atomic64_inc(&counts[vector == POSTED_INTR_WAKEUP_VECTOR ? WOKEN : NOTIFIED]);
		return;
	}
	pr_err("fake_device: NDST %x names no processor\n", destination);
}

/* PIR, then ON and the decision to notify in one atomic operation on the control word. */
static void post(void)
{
	u64 seen;

	set_bit(posted_vector, descriptor->pir);
	seen = READ_ONCE(descriptor->control);
	do {
		if (seen & (ON | SN)) {
			atomic64_inc(&counts[seen & SN ? SUPPRESSED : OUTSTANDING]);
			return;
		}
	} while (!try_cmpxchg64(&descriptor->control, &seen, seen | ON));
	notify(seen);
}

/* As VFIO's handler. */
static void signal(void *unused)
{
	eventfd_signal(context);
}

static void fire_one(void)
{
	bool posted;

	scoped_guard(raw_spinlock_irqsave, &entry_lock)
	{
		posted = descriptor && !READ_ONCE(remap);
		if (posted)
			post();
	}
	if (posted)
		return;
	atomic64_inc(&counts[REMAPPED]);
	/* Waits for the handler, or the device could be taken away meanwhile. */
	if (READ_ONCE(cpu) < 0 || smp_call_function_single(READ_ONCE(cpu), signal, NULL, 1))
		signal(NULL);
}

/* The kernel calls the three below with the lock of this module's parameters. */
static int fire(const char *text, const struct kernel_param *param)
{
	unsigned int number;
	int ret = kstrtouint(text, 0, &number);

	if (ret)
		return ret;
	if (!context)
		return -ENODEV;
	while (number--)
		fire_one();
	return 0;
}

static int show_counts(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%lld %lld %lld %lld %lld\n", atomic64_read(&counts[NOTIFIED]),
			  atomic64_read(&counts[WOKEN]), atomic64_read(&counts[SUPPRESSED]),
			  atomic64_read(&counts[OUTSTANDING]), atomic64_read(&counts[REMAPPED]));
}

static void take_away(void)
{
	if (!context)
		return;
	irq_bypass_unregister_producer(&device);
	eventfd_ctx_put(context);
	context = NULL;
}

static int set_eventfd(const char *text, const struct kernel_param *param)
{
	struct eventfd_ctx *found;
	int fd, ret;

	ret = kstrtoint(text, 0, &fd);
	if (ret)
		return ret;
	take_away();
	if (fd < 0)
		return 0;

	found = eventfd_ctx_fdget(fd);
	if (IS_ERR(found))
		return PTR_ERR(found);
	ret = register_producer(&device, found, irq);
	if (ret)
		eventfd_ctx_put(found);
	else
		context = found;
	return ret;
}

static const struct kernel_param_ops eventfd_ops = {.set = set_eventfd};
module_param_cb(eventfd, &eventfd_ops, NULL, 0200);
static const struct kernel_param_ops fire_ops = {.set = fire};
module_param_cb(fire, &fire_ops, NULL, 0200);
static const struct kernel_param_ops counts_ops = {.get = show_counts};
module_param_cb(counts, &counts_ops, NULL, 0444);
module_param(irq, int, 0444);
module_param(posts, bool, 0444);
module_param(remap, bool, 0644);
module_param(cpu, int, 0644);

static int say_yes(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	regs_set_return_value(regs, true);
	return 0;
}

static struct kretprobe can_post = {
	.kp.symbol_name = "irq_remapping_cap",
	.handler = say_yes,
};

static int __init load(void)
{
	int ret;

	irq = irq_alloc_desc(NUMA_NO_NODE);
	if (irq < 0)
		return irq;
	irq_set_chip_and_handler(irq, &chip, handle_edge_irq);
	by_vtd = boot_cpu_has(X86_FEATURE_VMX);
	posts |= by_vtd;
	ret = posts ? register_kretprobe(&can_post) : 0;
	if (ret)
		irq_free_desc(irq);
	return ret;
}

static void __exit unload(void)
{
	take_away();
	if (posts)
		unregister_kretprobe(&can_post);
	irq_free_desc(irq);
}

module_init(load);
module_exit(unload);
MODULE_DESCRIPTION("For tests: a device whose interrupts KVM may have posted");
MODULE_LICENSE("GPL");
