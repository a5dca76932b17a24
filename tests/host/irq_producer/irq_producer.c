// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands in for an assigned device and an IOMMU that can post: the kernel is told that there
 * is such an IOMMU, and KVM that interrupt 77 of the host is the one behind an eventfd. No
 * interrupt ever comes.
 *
 *   eventfd=N   in /sys/module/irq_producer/parameters: a descriptor of whoever writes it;
 *               -1 takes the device away
 */
#include <linux/eventfd.h>
#include <linux/irqbypass.h>
#include <linux/kprobes.h>
#include <linux/module.h>

static struct irq_bypass_producer device = {.irq = 77};

static void take_away(void)
{
	if (!device.token)
		return;
	irq_bypass_unregister_producer(&device);
	eventfd_ctx_put(device.token);
	device.token = NULL;
}

/* The kernel calls this with the lock of this module's parameters. */
static int set_eventfd(const char *text, const struct kernel_param *param)
{
	struct eventfd_ctx *context;
	int fd, ret;

	ret = kstrtoint(text, 0, &fd);
	if (ret)
		return ret;
	take_away();
	if (fd < 0)
		return 0;

	context = eventfd_ctx_fdget(fd);
	if (IS_ERR(context))
		return PTR_ERR(context);
	device.token = context;
	ret = irq_bypass_register_producer(&device);
	if (ret) {
		device.token = NULL;
		eventfd_ctx_put(context);
	}
	return ret;
}

static const struct kernel_param_ops eventfd_ops = {.set = set_eventfd};
module_param_cb(eventfd, &eventfd_ops, NULL, 0200);

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
	return register_kretprobe(&can_post);
}

static void __exit unload(void)
{
	take_away();
	unregister_kretprobe(&can_post);
}

module_init(load);
module_exit(unload);
MODULE_DESCRIPTION("For tests: a device whose interrupts KVM may have posted");
MODULE_LICENSE("GPL");
