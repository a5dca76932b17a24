// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs single steps of KVM on a live vCPU and counts TSC ticks around each one.
 * Where the TSC counts instructions, that is what a step costs, without the
 * system call around it.
 *
 * Steps are entered where KVM itself enters them: by its functions, by
 * the vCPU's preempt notifier, and by the static calls of kvm_x86_ops.  So it is
 * the same measurement whoever's code stands behind them.
 *
 * A tool of the bench: it trusts its user, who is root.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>

#include <asm/irq_vectors.h>
#include <asm/vmx.h>

#include "counters.h"
#include "known.h"
#include "layout.h"
#include "pathbench.h"

#define MAX_SAMPLES 100000

/* Kbuild looks for what the kernel's headers have. */
#if OLD_EVENTFD
#define eventfd_signal(context) eventfd_signal(context, 1)
#endif

/* As hardware has it. */
struct pi_descriptor {
	unsigned long requests[4];
	/* Bit 0: a notification was sent; bits 16 to 23: its vector. */
	unsigned long control;
};

typedef void (*vcpu_op)(struct kvm_vcpu *vcpu);
typedef void (*deliver_op)(struct kvm_lapic *apic, int delivery_mode, int trig_mode, int vector);

typedef int (*sync_op)(struct kvm_vcpu *vcpu);
typedef void (*bitmap_op)(struct kvm_vcpu *vcpu, u64 *bitmap);
typedef void (*wakeup_handler)(void);
typedef int (*state_function)(struct kvm_vcpu *vcpu, struct kvm_lapic_state *state);

static struct static_call_key *key_blocking, *key_unblocking, *key_deliver;
/* What only VMX has; the last is where the kernel keeps KVM's handler. */
static struct static_call_key *key_sync, *key_bitmap;
static wakeup_handler *handler_place;

static state_function get_state, set_state;
static int (*has_interrupt)(struct kvm_vcpu *vcpu), (*has_injectable)(struct kvm_vcpu *vcpu);
static vcpu_op sync_to_vapic;

/* What only SVM has; kvm_amd's own function for an exit of a guest that takes interrupts now. */
static struct static_call_key *key_ask_window, *key_inject, *key_cancel;
static int (*window_exit)(struct kvm_vcpu *vcpu);
/* And for an IPI that hardware could not complete. */
static int (*ipi_exit)(struct kvm_vcpu *vcpu);

/*
 * What newer kernels export to the modules of KVM alone. A static call costs what a call does.
 */
typedef bool wake_function(struct kvm_vcpu *vcpu);
typedef void inhibit_function(struct kvm *kvm, enum kvm_apicv_inhibit reason, bool set);
typedef void vcpu_function(struct kvm_vcpu *vcpu);
DEFINE_STATIC_CALL_NULL(load, vcpu_function);
DEFINE_STATIC_CALL_NULL(put, vcpu_function);
DEFINE_STATIC_CALL_NULL(update_apicv, vcpu_function);
DEFINE_STATIC_CALL_NULL(set_inhibit, inhibit_function);
DEFINE_STATIC_CALL_RET0(wake_up, wake_function);

/* The function that a static call goes to now; NULL if to none. */
static void *target_of(const struct static_call_key *key)
{
	return READ_ONCE(key->func);
}

static __always_inline u64 clock_begin(void)
{
	counters_begin();
	return rdtsc_ordered();
}

static __always_inline u64 clock_end(void)
{
	u64 now = rdtsc_ordered();

	counters_end();
	return now;
}

static u64 nothing(void)
{
	u64 start = clock_begin();

	return clock_end() - start;
}

static u64 load_put(struct kvm_vcpu *vcpu)
{
	u64 start = clock_begin();

	static_call(load)(vcpu);
	static_call(put)(vcpu);
	return clock_end() - start;
}

/* As kvm_sched_out() and kvm_sched_in() are called by the scheduler. */
static u64 switch_out_in(struct kvm_vcpu *vcpu)
{
	struct preempt_notifier *notifier = &vcpu->preempt_notifier;
	u64 start, end;

	static_call(load)(vcpu);
	/* Makes the thread count as preempted, as the one of a running vCPU is. */
	vcpu->wants_to_run = true;
	start = clock_begin();
	notifier->ops->sched_out(notifier, current);
	notifier->ops->sched_in(notifier, raw_smp_processor_id());
	end = clock_end();
	vcpu->wants_to_run = false;
	static_call(put)(vcpu);
	return end - start;
}

static u64 block_unblock(struct kvm_vcpu *vcpu)
{
	vcpu_op blocking = target_of(key_blocking);
	vcpu_op unblocking = target_of(key_unblocking);
	u64 start, end;

	static_call(load)(vcpu);
	start = clock_begin();
	if (blocking)
		blocking(vcpu);
	if (unblocking)
		unblocking(vcpu);
	end = clock_end();
	static_call(put)(vcpu);
	return end - start;
}

static u64 deliver(struct kvm_vcpu *vcpu, u32 vector)
{
	deliver_op deliver_interrupt = target_of(key_deliver);
	u64 start = clock_begin();

	deliver_interrupt(vcpu->arch.apic, APIC_DM_FIXED, 0, vector);
	return clock_end() - start;
}

/* As in the handler of an interrupt. */
static u64 signal(struct eventfd_ctx *event)
{
	u64 start, end;

	local_irq_disable();
	start = clock_begin();
	eventfd_signal(event);
	end = clock_end();
	local_irq_enable();
	return end - start;
}

/*
 * As the scheduler does with the thread of a halted vCPU: on VMX that is when it
 * gets ready for the wakeup vector, and undoes it.
 */
static u64 sleep_wake(struct kvm_vcpu *vcpu)
{
	struct preempt_notifier *notifier = &vcpu->preempt_notifier;
	struct rcuwait *wait = kvm_arch_vcpu_get_wait(vcpu);
	u64 start, end;

	static_call(load)(vcpu);
	prepare_to_rcuwait(wait);
	start = clock_begin();
	notifier->ops->sched_out(notifier, current);
	notifier->ops->sched_in(notifier, raw_smp_processor_id());
	end = clock_end();
	finish_rcuwait(wait);
	static_call(put)(vcpu);
	return end - start;
}

static u64 ask(struct kvm_vcpu *vcpu, int (*question)(struct kvm_vcpu *vcpu))
{
	u64 start, end;

	static_call(load)(vcpu);
	start = clock_begin();
	question(vcpu);
	end = clock_end();
	static_call(put)(vcpu);
	return end - start;
}

static u64 sync_guest(struct kvm_vcpu *vcpu)
{
	u64 start, end;

	static_call(load)(vcpu);
	start = clock_begin();
	sync_to_vapic(vcpu);
	end = clock_end();
	static_call(put)(vcpu);
	return end - start;
}

/* The two may sleep; one user at a time. */
static u64 save_or_restore(struct kvm_vcpu *vcpu, bool restore)
{
	static struct kvm_lapic_state state;
	u64 start, end;

	static_call(load)(vcpu);
	if (restore)
		get_state(vcpu, &state);
	start = clock_begin();
	(restore ? set_state : get_state)(vcpu, &state);
	end = clock_end();
	static_call(put)(vcpu);
	return end - start;
}

/* As KVM_REQ_APICV_UPDATE does, when somebody has changed the inhibits. May sleep. */
static u64 toggle(struct kvm_vcpu *vcpu)
{
	u64 start, ticks = 0;
	int off;

	static_call(load)(vcpu);
	for (off = 1; off >= 0; off--) {
		static_call(set_inhibit)(vcpu->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, off);
		start = clock_begin();
		static_call(update_apicv)(vcpu);
		ticks += clock_end() - start;
	}
	static_call(put)(vcpu);
	return ticks;
}

/* Inhibits the VM as a debugger does, as far as the vCPU is concerned. */
static void inhibit(struct kvm_vcpu *vcpu, bool on)
{
	static_call(set_inhibit)(vcpu->kvm, APICV_INHIBIT_REASON_BLOCKIRQ, on);
	static_call(update_apicv)(vcpu);
}

/*
 * As KVM does for an interrupt that comes while the guest takes none. It is taken back in the
 * end, or the guest would get it. May sleep.
 */
static u64 window(struct kvm_vcpu *vcpu, u32 vector)
{
	void (*inject)(struct kvm_vcpu *vcpu, bool reinjected) = target_of(key_inject);
	vcpu_op ask_window = target_of(key_ask_window);
	vcpu_op cancel = target_of(key_cancel);
	u64 start, end;

	static_call(load)(vcpu);
	inhibit(vcpu, true);
	vcpu->arch.interrupt.soft = false;
	vcpu->arch.interrupt.nr = vector;
	start = clock_begin();
	ask_window(vcpu);
	window_exit(vcpu);
	inject(vcpu, false);
	end = clock_end();
	cancel(vcpu);
	vcpu->arch.interrupt.injected = false;
	inhibit(vcpu, false);
	static_call(put)(vcpu);
	return end - start;
}

static u64 sync(struct kvm_vcpu *vcpu)
{
	sync_op sync_pir_to_irr = target_of(key_sync);
	u64 start, end;

	static_call(load)(vcpu);
	local_irq_disable();
	start = clock_begin();
	sync_pir_to_irr(vcpu);
	end = clock_end();
	local_irq_enable();
	static_call(put)(vcpu);
	return end - start;
}

static u64 load_bitmap(struct kvm_vcpu *vcpu, bool new)
{
	bitmap_op load_eoi_exitmap = target_of(key_bitmap);
	u64 *bitmap = (u64 *)vcpu->arch.ioapic_handled_vectors;
	u64 start, end;

	static_call(load)(vcpu);
	if (new)
		bitmap[2] ^= 1;
	start = clock_begin();
	load_eoi_exitmap(vcpu, bitmap);
	end = clock_end();
	static_call(put)(vcpu);
	return end - start;
}

static u64 vmcs_read(unsigned long field)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
	return value;
}

static struct pi_descriptor *descriptor_of(const u64 *table, u32 id)
{
	u64 entry = READ_ONCE(table[id]);

	return entry & 1 ? phys_to_virt(entry & ~63ULL) : NULL;
}

static bool sleeps(const struct pi_descriptor *descriptor)
{
	unsigned long control = READ_ONCE(descriptor->control);

	return (u8)(control >> 16) == POSTED_INTR_WAKEUP_VECTOR && !(control & 1);
}

static bool all_sleep(const u64 *table, u32 sleepers)
{
	struct pi_descriptor *descriptor;
	u32 id;

	for (id = 1; id <= sleepers; id++) {
		descriptor = descriptor_of(table, id);
		if (!descriptor || !sleeps(descriptor))
			return false;
	}
	return true;
}

/* As the processor does, with IPI virtualization. */
static void post(struct pi_descriptor *descriptor, u32 vector)
{
	set_bit(vector, descriptor->requests);
	set_bit(0, &descriptor->control);
}

static u64 run_handler(void)
{
	u64 start = clock_begin();

	(*handler_place)();
	return clock_end() - start;
}

static u64 wake_thread(struct kvm_vcpu *target)
{
	u64 start = clock_begin();

	static_call(wake_up)(target);
	return clock_end() - start;
}

/*
 * The handler does the same whether it finds the target's thread asleep or not. What it
 * calls to wake the thread takes as long as the scheduler likes if the thread sleeps, and
 * the same every time if it does not.
 */
static u64 measure_wake(const struct pathbench_request *request, struct kvm_vcpu *target,
			const u64 *table)
{
	if (request->path != PATHBENCH_WAKE)
		static_call(wake_up)(target);
	if (request->target)
		post(descriptor_of(table, request->target), request->vector);
	return request->path == PATHBENCH_WAKE_THREAD ? wake_thread(target) : run_handler();
}

static int wake(struct kvm_vcpu *vcpu, const struct pathbench_request *request, u64 *ticks)
{
	struct kvm_vcpu *target = kvm_get_vcpu_by_id(vcpu->kvm, request->target);
	const u64 *table;
	int ret = -EAGAIN;

	if (!target)
		return -EINVAL;
	static_call(load)(vcpu);
	table = phys_to_virt(vmcs_read(PID_POINTER_TABLE));
	static_call(put)(vcpu);
	/* As in an interrupt. */
	preempt_disable();
	local_irq_disable();
	if (all_sleep(table, request->sleepers)) {
		*ticks = measure_wake(request, target, table);
		ret = 0;
	}
	local_irq_enable();
	preempt_enable();
	return ret;
}

/*
 * As after the exit 401h, "target not running". The target's thread has been woken before: what
 * the scheduler makes of that is not counted.
 */
static int broadcast(struct kvm_vcpu *vcpu, const struct pathbench_request *request, u64 *ticks)
{
	struct kvm_vcpu *target = kvm_get_vcpu_by_id(vcpu->kvm, request->target);
	struct vcpu_svm *svm = container_of(vcpu, struct vcpu_svm, vcpu);
	int ret = -EAGAIN, idx;
	u64 start;

	if (!target)
		return -EINVAL;
	preempt_disable();
	static_call(load)(vcpu);
	svm->vmcb->control.exit_info_1 = APIC_DEST_ALLBUT | request->vector;
	svm->vmcb->control.exit_info_2 = BIT_ULL(32) | request->target;
	idx = srcu_read_lock(&vcpu->kvm->srcu);
	if (static_call(wake_up)(target)) {
		start = clock_begin();
		ipi_exit(vcpu);
		*ticks = clock_end() - start;
		ret = 0;
	}
	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	static_call(put)(vcpu);
	preempt_enable();
	return ret;
}

static bool is_wake(const struct pathbench_request *request)
{
	return request->path >= PATHBENCH_WAKE && request->path <= PATHBENCH_WAKE_THREAD;
}

/* Whatever begins and ends it, a known path holds KNOWN_TIMES of one kind and none of another. */
static u64 known(struct kvm_vcpu *vcpu, enum pathbench_known kind)
{
	u64 start, end;

	static_call(load)(vcpu);
	start = clock_begin();
	known_run(kind);
	end = clock_end();
	static_call(put)(vcpu);
	return end - start;
}

static bool is_supported(const struct pathbench_request *request)
{
	if (request->path == PATHBENCH_KNOWN)
		return counters_are_there() && known_is_possible(request->vector);
	if (request->path == PATHBENCH_WINDOW)
		return boot_cpu_has(X86_FEATURE_SVM) && window_exit;
	if (request->path == PATHBENCH_BROADCAST)
		return boot_cpu_has(X86_FEATURE_SVM) && ipi_exit;
	if (request->path < PATHBENCH_SLEEP)
		return true;
	if (!boot_cpu_has(X86_FEATURE_VMX) || !target_of(key_sync) || !target_of(key_bitmap))
		return false;
	/* Within what create_vm makes the table for. */
	return !is_wake(request) ||
	       (handler_place && request->target <= request->sleepers && request->sleepers < 256);
}

static u64 measure(struct kvm_vcpu *vcpu, const struct pathbench_request *request,
		   struct eventfd_ctx *event)
{
	u64 ticks;

	preempt_disable();
	switch (request->path) {
	case PATHBENCH_LOAD_PUT:
		ticks = load_put(vcpu);
		break;
	case PATHBENCH_SWITCH:
		ticks = switch_out_in(vcpu);
		break;
	case PATHBENCH_BLOCK:
		ticks = block_unblock(vcpu);
		break;
	case PATHBENCH_DELIVER_AGAIN:
		static_call(wake_up)(vcpu);
		fallthrough;
	case PATHBENCH_DELIVER:
		ticks = deliver(vcpu, request->vector);
		break;
	case PATHBENCH_SIGNAL_AGAIN:
		static_call(wake_up)(vcpu);
		fallthrough;
	case PATHBENCH_SIGNAL:
		ticks = signal(event);
		break;
	case PATHBENCH_HAS_INTERRUPT:
		ticks = ask(vcpu, has_interrupt);
		break;
	case PATHBENCH_INJECTABLE:
		ticks = ask(vcpu, has_injectable);
		break;
	case PATHBENCH_SYNC_TO_VAPIC:
		ticks = sync_guest(vcpu);
		break;
	case PATHBENCH_SLEEP:
		ticks = sleep_wake(vcpu);
		break;
	case PATHBENCH_SYNC:
		ticks = sync(vcpu);
		break;
	case PATHBENCH_EOI_BITMAP:
	case PATHBENCH_NEW_EOI_BITMAP:
		ticks = load_bitmap(vcpu, request->path == PATHBENCH_NEW_EOI_BITMAP);
		break;
	case PATHBENCH_KNOWN:
		ticks = known(vcpu, request->vector);
		break;
	default:
		ticks = nothing();
	}
	preempt_enable();
	return ticks;
}

/* One sample. The counters that it looks at are those of the CPU where it begins. */
static int take(struct kvm_vcpu *vcpu, const struct pathbench_request *request,
		struct eventfd_ctx *event, u64 *ticks)
{
	if (is_wake(request))
		return wake(vcpu, request, ticks);
	switch (request->path) {
	case PATHBENCH_SAVE:
	case PATHBENCH_RESTORE:
		*ticks = save_or_restore(vcpu, request->path == PATHBENCH_RESTORE);
		break;
	case PATHBENCH_TOGGLE:
		*ticks = toggle(vcpu);
		break;
	case PATHBENCH_WINDOW:
		*ticks = window(vcpu, request->vector);
		break;
	case PATHBENCH_BROADCAST:
		return broadcast(vcpu, request, ticks);
	default:
		*ticks = measure(vcpu, request, event);
	}
	return 0;
}

static bool is_signal(const struct pathbench_request *request)
{
	return request->path == PATHBENCH_SIGNAL || request->path == PATHBENCH_SIGNAL_AGAIN;
}

static int measure_all(struct kvm_vcpu *vcpu, const struct pathbench_request *request, u64 *ticks,
		       u64 *costs)
{
	bool alone = request->path != PATHBENCH_DELIVER &&
		     request->path != PATHBENCH_DELIVER_AGAIN && !is_signal(request);
	struct eventfd_ctx *event = NULL;
	int ret = 0;
	u32 i;

	if (is_signal(request)) {
		event = eventfd_ctx_fdget(request->event_fd);
		if (IS_ERR(event))
			return PTR_ERR(event);
	}
	if (alone && mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	migrate_disable();
	for (i = 0; i < request->samples && !ret; i++) {
		counters_restart();
		ret = take(vcpu, request, event, &ticks[i]);
		counters_take(&costs[i * COST_KINDS]);
	}
	migrate_enable();
	if (alone)
		mutex_unlock(&vcpu->mutex);
	if (event)
		eventfd_ctx_put(event);
	return ret;
}

static int measure_file(const struct file *file, const struct pathbench_request *request)
{
	size_t ticks_size = request->samples * sizeof(u64);
	size_t costs_size = ticks_size * COST_KINDS;
	u64 *ticks, *costs;
	int ret;

	if (strncmp(file->f_path.dentry->d_name.name, "kvm-vcpu:", 9))
		return -EINVAL;
	ticks = kvzalloc(ticks_size + costs_size, GFP_KERNEL);
	if (!ticks)
		return -ENOMEM;
	costs = ticks + request->samples;
	ret = measure_all(file->private_data, request, ticks, costs);
	if (!ret && (copy_to_user(u64_to_user_ptr(request->ticks), ticks, ticks_size) ||
		     copy_to_user(u64_to_user_ptr(request->costs), costs, costs_size)))
		ret = -EFAULT;
	kvfree(ticks);
	return ret;
}

static long pathbench_ioctl(struct file *unused, unsigned int command, unsigned long arg)
{
	struct pathbench_request request;
	struct file *file;
	int ret;

	if (command != PATHBENCH_MEASURE)
		return -ENOTTY;
	if (copy_from_user(&request, (void __user *)arg, sizeof(request)))
		return -EFAULT;
	if (!request.samples || request.samples > MAX_SAMPLES || request.path >= PATHBENCH_PATHS)
		return -EINVAL;
	if (!is_supported(&request))
		return -EOPNOTSUPP;
	file = fget(request.vcpu_fd);
	if (!file)
		return -EBADF;
	ret = measure_file(file, &request);
	fput(file);
	return ret;
}

static const struct file_operations pathbench_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = pathbench_ioctl,
};

static struct miscdevice pathbench_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vapic-pathbench",
	.fops = &pathbench_fops,
	.mode = 0600,
};

typedef unsigned long lookup_function(const char *name);

/* KVM exports no static call; a kprobe finds what finds symbols. */
static lookup_function *find_lookup(void)
{
	struct kprobe probe = {.symbol_name = "kallsyms_lookup_name"};

	if (register_kprobe(&probe))
		return NULL;
	unregister_kprobe(&probe);
	return (lookup_function *)probe.addr;
}

static int find_functions(lookup_function *lookup)
{
	vcpu_function *found_load = (vcpu_function *)lookup("vcpu_load");
	vcpu_function *found_put = (vcpu_function *)lookup("vcpu_put");
	vcpu_function *found_update = (vcpu_function *)lookup("__kvm_vcpu_update_apicv");
	wake_function *found_wake = (wake_function *)lookup("kvm_vcpu_wake_up");
	inhibit_function *found_inhibit =
		(inhibit_function *)lookup("kvm_set_or_clear_apicv_inhibit");

	has_interrupt = (void *)lookup("kvm_cpu_has_interrupt");
	has_injectable = (void *)lookup("kvm_cpu_has_injectable_intr");
	/* Its name on older kernels */
	if (!found_update)
		found_update = (vcpu_function *)lookup("kvm_vcpu_update_apicv");
	if (!found_load || !found_put || !found_update || !found_wake || !found_inhibit ||
	    !has_interrupt || !has_injectable)
		return -ENOENT;
	static_call_update(load, found_load);
	static_call_update(put, found_put);
	static_call_update(update_apicv, found_update);
	static_call_update(wake_up, found_wake);
	static_call_update(set_inhibit, found_inhibit);
	return 0;
}

static int find_keys(lookup_function *lookup)
{
	key_blocking = (void *)lookup("__SCK__kvm_x86_vcpu_blocking");
	key_unblocking = (void *)lookup("__SCK__kvm_x86_vcpu_unblocking");
	key_deliver = (void *)lookup("__SCK__kvm_x86_deliver_interrupt");
	key_sync = (void *)lookup("__SCK__kvm_x86_sync_pir_to_irr");
	key_bitmap = (void *)lookup("__SCK__kvm_x86_load_eoi_exitmap");
	handler_place = (void *)lookup("kvm_posted_intr_wakeup_handler");
	key_ask_window = (void *)lookup("__SCK__kvm_x86_enable_irq_window");
	key_inject = (void *)lookup("__SCK__kvm_x86_inject_irq");
	key_cancel = (void *)lookup("__SCK__kvm_x86_cancel_injection");
	window_exit = (void *)lookup("interrupt_window_interception");
	ipi_exit = (void *)lookup("avic_incomplete_ipi_interception");
	get_state = (void *)lookup("kvm_apic_get_state");
	set_state = (void *)lookup("kvm_apic_set_state");
	sync_to_vapic = (void *)lookup("kvm_lapic_sync_to_vapic");
	if (!key_blocking || !key_unblocking || !key_deliver || !key_sync || !key_bitmap ||
	    !key_ask_window || !key_inject || !key_cancel || !get_state || !set_state ||
	    !sync_to_vapic)
		return -ENOENT;
	return 0;
}

static int __init pathbench_init(void)
{
	lookup_function *lookup = find_lookup();
	int ret;

	if (!lookup)
		return -ENOENT;
	ret = find_keys(lookup) ?: find_functions(lookup);
	if (ret)
		return ret;
	counters_open();
	ret = misc_register(&pathbench_device);
	if (ret)
		counters_close();
	return ret;
}

static void __exit pathbench_exit(void)
{
	misc_deregister(&pathbench_device);
	counters_close();
}

module_init(pathbench_init);
module_exit(pathbench_exit);
MODULE_DESCRIPTION("Counts what single steps of KVM cost");
MODULE_LICENSE("GPL");
