// SPDX-License-Identifier: GPL-2.0-only
/* Test VMs and their vCPUs, from creation to the end, and the ioctls of a device model. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot.h"
#include "run.h"

int checked_ioctl(struct vm *vm, int fd, unsigned long request,
		  unsigned long arg, const char *name)
{
	int result = ioctl(fd, request, arg);

	if (result < 0)
		vm_fail(vm, "%s: %s", name, strerror(errno));
	return result;
}

void vm_check(struct vm *vm, int error, const char *what)
{
	if (error)
		vm_fail(vm, "%s: %s", what, strerror(error));
}

/* Why a host that is as it should be may refuse to open /dev/kvm, or NULL. */
static const char *why_not_open(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "no /dev/kvm: KVM is not loaded, or there is no hardware virtualization";
	case EACCES:
	case EPERM:
		return "no permission for /dev/kvm: be root, or in its group";
	default:
		return NULL;
	}
}

/* The same of KVM_CREATE_VM. */
static const char *why_no_vm(int error)
{
	switch (error) {
	case EBUSY:
		return "KVM makes no VM: another hypervisor uses the processor";
	case ENODEV:
	case EOPNOTSUPP:
		return "KVM makes no VM: its module for this processor is not loaded";
	default:
		return NULL;
	}
}

struct vm *vm_try_create(unsigned int options, const char **why)
{
	struct kvm_enable_cap cap = { 0 };
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct vm *vm;

	if (kvm_fd < 0) {
		*why = why_not_open(errno);
		if (!*why)
			vm_fail(NULL, "/dev/kvm: %s", strerror(errno));
		return NULL;
	}
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		vm_fail(NULL, "out of memory");
	vm->kvm_fd = kvm_fd;
	vm->options = options;
	vm->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0) {
		*why = why_no_vm(errno);
		if (!*why)
			vm_fail(NULL, "KVM_CREATE_VM: %s", strerror(errno));
		close(kvm_fd);
		free(vm);
		return NULL;
	}
	boot_add_memory(vm);
	/* Needed by Intel processors only, harmless elsewhere; away from all other memory. */
	checked_ioctl(vm, vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL, "KVM_SET_TSS_ADDR");

	if (options & VM_SPLIT) {
		cap.cap = KVM_CAP_SPLIT_IRQCHIP;
		cap.args[0] = 24;
		vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	} else {
		vm_ioctl(vm, KVM_CREATE_IRQCHIP, NULL);
	}

	/* Allow destinations beyond 8 bits in MSIs, and give FFh no special meaning. */
	cap = (struct kvm_enable_cap){
		.cap = KVM_CAP_X2APIC_API,
		.args = { KVM_X2APIC_API_USE_32BIT_IDS |
			  KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	};
	if (!(options & VM_XAPIC_IMAGES))
		vm_ioctl(vm, KVM_ENABLE_CAP, &cap);

	/* Make a vCPU that halts block at once, because polling would hide the blocking paths. */
	cap = (struct kvm_enable_cap){ .cap = KVM_CAP_HALT_POLL };
	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);

	/* Waiting loops use PAUSE; disable exits for it, which would only disturb. */
	cap = (struct kvm_enable_cap){
		.cap = KVM_CAP_X86_DISABLE_EXITS,
		.args = { KVM_X86_DISABLE_EXITS_PAUSE },
	};
	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	return vm;
}

struct vm *vm_create(unsigned int options)
{
	const char *why;
	struct vm *vm = vm_try_create(options, &why);

	if (!vm)
		vm_fail(NULL, "%s", why);
	return vm;
}

/*
 * The vCPU ID of the blocker: one that no other vCPU of such a VM has, and that every table can
 * name.
 */
#define BLOCKER_ID	200

void vm_add_blocker(struct vm *vm)
{
	int fd = vm_raw_create_vcpu(vm, BLOCKER_ID);

	if (fd < 0)
		vm_fail(vm, "vCPU %u: %s", BLOCKER_ID, strerror(-fd));
	vm->blocker_fd = fd;
}

void vm_block(struct vm *vm, bool on)
{
	struct kvm_guest_debug debug = {
		.control = on ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ : 0,
	};

	ioctl_on(vm, vm->blocker_fd, KVM_SET_GUEST_DEBUG, &debug, "KVM_SET_GUEST_DEBUG");
}

void vm_add_pit(struct vm *vm)
{
	struct kvm_pit_config pit = { 0 };

	vm_ioctl(vm, KVM_CREATE_PIT2, &pit);
}

int vm_raw_create_vcpu(struct vm *vm, uint32_t id)
{
	int fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)id);

	return fd < 0 ? -errno : fd;
}

struct creation {
	struct vm *vm;
	uint32_t id;
	pthread_barrier_t *start;
	int fd;
};

static void *create_with_others(void *arg)
{
	struct creation *creation = arg;

	pthread_barrier_wait(creation->start);
	creation->fd = vm_raw_create_vcpu(creation->vm, creation->id);
	return NULL;
}

/* One of the threads must get the vCPU; the others must get the error that it exists. */
static int create_racing(struct vm *vm, uint32_t id)
{
	enum { CREATORS = 4 };
	struct creation creations[CREATORS];
	pthread_t threads[CREATORS];
	pthread_barrier_t start;
	int made = -EEXIST;

	vm_check(vm, pthread_barrier_init(&start, NULL, CREATORS), "cannot make a barrier");
	for (unsigned int i = 0; i < CREATORS; i++) {
		creations[i] = (struct creation){.vm = vm, .id = id, .start = &start};
		vm_check(vm, pthread_create(&threads[i], NULL, create_with_others, &creations[i]),
			 "cannot start a thread");
	}
	for (unsigned int i = 0; i < CREATORS; i++) {
		vm_check(vm, pthread_join(threads[i], NULL), "cannot join a thread");
		if (creations[i].fd == -EEXIST)
			continue;
		if (made != -EEXIST)
			vm_fail(vm, "two creations of vCPU %u ended with %d and %d", id, made,
				creations[i].fd);
		made = creations[i].fd;
	}
	vm_check(vm, pthread_barrier_destroy(&start), "cannot end a barrier");
	return made;
}

/* Creates a vCPU, except for the data that its guest code keeps in memory. */
static struct vcpu *add_vcpu(struct vm *vm, uint32_t id)
{
	unsigned int index = vm->vcpu_count;
	struct vcpu *vcpu;
	int size;

	vcpu = &vm->vcpus[index];
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->pcpu = -1;
	vcpu->guest = &guest_cpus[index];
	vcpu->fd = vm->options & VM_RACE ? create_racing(vm, id) : vm_raw_create_vcpu(vm, id);
	if (vcpu->fd < 0)
		vm_fail(vm, "KVM_CREATE_VCPU %u: %s", id, strerror(-vcpu->fd));
	size = checked_ioctl(vm, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0,
			     "KVM_GET_VCPU_MMAP_SIZE");
	vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		vm_fail(NULL, "mmap of vCPU %u: %s", id, strerror(errno));
	vcpu->stats_fd = vcpu_ioctl(vcpu, KVM_GET_STATS_FD, NULL);
	vm->vcpu_count++;
	boot_set_state(vcpu);
	return vcpu;
}

uint64_t guest_seed;

struct vcpu *vm_add_vcpu(struct vm *vm, uint32_t id,
			 void (*function)(uint64_t), uint64_t arg)
{
	unsigned int index = vm->vcpu_count;
	struct guest_cpu *guest = &guest_cpus[index];

	if (index >= VM_MAX_VCPUS)
		vm_fail(vm, "more than %u vCPUs", VM_MAX_VCPUS);
	memset(guest, 0, sizeof(*guest));
	*guest = (struct guest_cpu){
		.self = guest, .index = index, .apic_id = id,
		.x2apic = vm->options & VM_X2APIC, .function = function, .arg = arg,
		.random = 0x9e3779b97f4a7c15ULL * (index + 1) ^ guest_seed,
	};
	return add_vcpu(vm, id);
}

struct vm *vm_create_like(struct vm *vm)
{
	struct vm *like = vm_create(vm->options);

	like->on_exit = vm->on_exit;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		add_vcpu(like, vm->vcpus[i].id);
	vm_start_held(like, ~0U);
	return like;
}

void vm_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		vcpu_stop(vcpu);
		if (munmap(vcpu->run, checked_ioctl(NULL, vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE,
						    0, "KVM_GET_VCPU_MMAP_SIZE")) ||
		    close(vcpu->stats_fd) || close(vcpu->fd))
			vm_fail(NULL, "cannot end vCPU %u: %s", vcpu->id, strerror(errno));
	}
	if ((vm->blocker_fd && close(vm->blocker_fd)) || close(vm->fd) || close(vm->kvm_fd))
		vm_fail(NULL, "cannot end the VM: %s", strerror(errno));
	free(vm);
}

int vm_add_irqfd(struct vm *vm, uint32_t gsi, uint32_t apic_id, uint8_t vector)
{
	struct {
		struct kvm_irq_routing header;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.header = { .nr = 1 },
		.entry = {
			.gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
			.u.msi = {
				.address_lo = 0xfee00000U | (apic_id & 0xff) << 12,
				.address_hi = apic_id & 0xffffff00U,
				.data = vector,
			},
		},
	};
	int fd = eventfd(0, EFD_CLOEXEC);
	struct kvm_irqfd irqfd = { .fd = fd, .gsi = gsi };

	vm_ioctl(vm, KVM_SET_GSI_ROUTING, &routing.header);
	vm_ioctl(vm, KVM_IRQFD, &irqfd);
	return fd;
}

int vm_send_msi(struct vm *vm, uint32_t apic_id, uint8_t vector)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000U | (apic_id & 0xff) << 12,
		.address_hi = apic_id & 0xffffff00U,
		.data = vector,
	};

	return vm_ioctl(vm, KVM_SIGNAL_MSI, &msi);
}
