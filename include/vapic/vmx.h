/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C may call in the C++ core on Intel. The rules are those of avic.h.
 */
#ifndef VAPIC_VMX_H
#define VAPIC_VMX_H

#include <vapic/hw/cell.h>
#include <vapic/types.h>

VAPIC_C_BEGIN

/* Alignment, in bytes, of the memory of both objects. */
#define VAPIC_PI_ALIGN 64

/* Posted-interrupt state of one vCPU. */
struct vapic_pi_vcpu;

/* A quarter of the PIR of a posted-interrupt descriptor. ORDERING post, on-clear, sn-clear. */
VAPIC_CELL(vapic_pi_requests, u64)
/* The control word that follows PIR. ORDERING pi-control, post, on-clear. */
VAPIC_CELL(vapic_pi_control, u64)

/* The descriptor that IPI hardware and the IOMMU write; hw/pi.hpp has its fields. */
struct vapic_pi_descriptor {
	struct vapic_pi_requests pir[4];
	struct vapic_pi_control control;
	u64 reserved[3];
};

/*
 * Says that the caller is the vCPU's own task, with preemption off: the functions that take
 * this never run concurrently for one vCPU, and the CPU does not change meanwhile. Only
 * vapic_on_cpu() of vmx_apicv/glue.h makes one, and asserts both by lockdep.
 */
struct vapic_pi_on_cpu {
	struct vapic_pi_vcpu *vcpu;
};

/*
 * Says that the caller's task has the vCPU loaded: it is the vCPU's own task, or the one that
 * makes the vCPU, so that no two functions that take this run at once for one vCPU. It may be
 * preempted. Only vapic_loaded() of vmx_apicv/glue.h makes one, and asserts that by lockdep.
 */
struct vapic_pi_loaded {
	struct vapic_pi_vcpu *vcpu;
};

/* Bytes that the object needs. */
u32 vapic_pi_vcpu_size(void);

/* The vectors of the host that a descriptor may name. */
struct vapic_pi_vectors {
	u8 notification; /* takes posted interrupts in the guest, does nothing outside */
	u8 wakeup;	 /* wakes vCPUs that sleep */
};

/*
 * Set up the vCPU. @descriptor, aligned to 64 bytes, is the one that the VMCS names, at
 * host-physical @descriptor_pa; @regs is the register page. The caller keeps owning both, and
 * they outlive the object. vapic_pi_waiters_wake_due() passes @glue back.
 */
void vapic_pi_vcpu_init(struct vapic_pi_vcpu *vcpu, struct vapic_vcpu *glue,
			struct vapic_pi_descriptor *descriptor, u64 descriptor_pa, void *regs,
			struct vapic_pi_vectors vectors);

/*
 * Make IPI hardware find the vCPU under guest APIC ID @id in the PID-pointer @table of
 * @entries zeroed entries. False, with nothing changed, if @id is beyond the table or
 * another vCPU has the entry.
 */
bool vapic_pi_vcpu_enter_table(struct vapic_pi_vcpu *vcpu, void *table, u32 entries, u32 id);

/* Make vapic_pi_vcpu_resume() fail at the next load, on whichever CPU that happens. */
void vapic_pi_vcpu_leave_home(struct vapic_pi_on_cpu on);

/*
 * Take the vCPU out of the table; do nothing if it is not in one. Hardware may still be
 * writing to the descriptor for an IPI that began before, so the caller must make every
 * other vCPU leave the guest before it frees anything.
 */
void vapic_pi_vcpu_leave_table(struct vapic_pi_vcpu *vcpu);

/*
 * Residency. A vCPU that leaves its CPU without arm or vapic_pi_vcpu_suppress() stays loaded:
 * the first post then interrupts that CPU for nothing, and load has nothing to do if the vCPU
 * comes back to that CPU.
 *
 * load: the vCPU is on @cpu, whose APIC ID in the format of NDST is @destination.
 *       Notifications go there.
 * arm: the vCPU is on its CPU and about to sleep; from here on hardware sends the wakeup
 *       vector to that CPU. The caller has added the vCPU to the CPU's waiters before. True if
 *       something was posted already: the caller then sends the vector to its own CPU.
 */
void vapic_pi_vcpu_load(struct vapic_pi_on_cpu on, u32 cpu, u32 destination);
bool vapic_pi_vcpu_arm(struct vapic_pi_on_cpu on);

/* What the IRR holds when all that was posted is in it. */
struct vapic_pi_irr {
	u32 highest; /* vector, or VAPIC_NO_VECTOR */
	bool fresh;  /* the highest was not in the IRR before */
};

/*
 * Move what was posted to the IRR. With @to_rvi the caller must store the highest vector in
 * RVI right afterwards, which vapic_pi_vcpu_settled() relies on from then on.
 */
struct vapic_pi_irr vapic_pi_vcpu_sync(struct vapic_pi_loaded loaded, bool to_rvi);

/*
 * Note that RVI may not be the highest vector of the IRR any more, because the IRR was changed
 * by other means than sync and virtual-interrupt delivery. Any task may call this, after the
 * change.
 */
void vapic_pi_vcpu_unsettle(struct vapic_pi_vcpu *vcpu);

/*
 * Forget what was posted: the register page is about to be written anew. The vCPU does not run.
 */
void vapic_pi_vcpu_discard(struct vapic_pi_loaded loaded);

/* A vCPU as a member of a list of waiters. Part of the vCPU's object. */
struct vapic_pi_waiter {
	struct vapic_pi_place *place; /* in the list, while it is in one */
	struct vapic_vcpu *glue;
};

struct vapic_pi_place {
	const struct vapic_pi_control
		*control; /* the vCPU's; the handler of the wakeup vector looks at it */
	struct vapic_pi_waiter *waiter;
};

/*
 * The vCPUs that sleep on one CPU. The caller of each function below, except size, holds
 * the CPU's lock. A zeroed structure is an empty list without room.
 */
struct vapic_pi_waiters {
	struct vapic_pi_place *begin; /* of the taken places, which have no gaps */
	struct vapic_pi_place *end;   /* behind the last taken place */
	struct vapic_pi_place *limit; /* end of the room */
};

/* A list has a multiple of this many places; a free one points to a control word of 0. */
#define VAPIC_PI_WAITERS_PADDING 16
extern const struct vapic_pi_control vapic_pi_nobody; /* NOLINT(readability-identifier-naming) */

/* Bytes for @capacity vCPUs; @capacity is a multiple of the padding. */
u64 vapic_pi_waiters_size(u32 capacity);

/* Move the list to @memory, which has room for all in it; returns the old memory, or NULL. */
void *vapic_pi_waiters_move(struct vapic_pi_waiters *waiters, void *memory, u32 capacity);

/*
 * Add a vCPU, which may be in one list only, or remove it. Adding returns false if the list is
 * full. The handler of the wakeup vector removes vCPUs by functions of vmx_hot.h.
 */
bool vapic_pi_waiters_add(struct vapic_pi_waiters *waiters, struct vapic_pi_vcpu *vcpu);
void vapic_pi_waiters_remove(struct vapic_pi_waiters *waiters, struct vapic_pi_vcpu *vcpu);

/* The words of a VMCS that hold the controls of APICv. */
struct vapic_vmx_controls {
	u32 pin;
	u32 secondary;
	u64 tertiary;
};

/* Turn acceleration on or off; @ipi_virtualization: the VM has a PID-pointer table. */
void vapic_vmx_activate(struct vapic_vmx_controls *controls, bool active, bool ipi_virtualization);

/* Modes of the guest's APIC, and one which the manual does not allow. */
enum vapic_apic_mode {
	VAPIC_APIC_DISABLED,
	VAPIC_APIC_XAPIC,
	VAPIC_APIC_X2APIC,
	VAPIC_APIC_INVALID,
};

/* @may: the secondary controls that may be set. */
void vapic_vmx_set_mode(struct vapic_vmx_controls *controls, enum vapic_apic_mode mode, u32 may);

/* A bit for each of the MSRs 800h to 83Fh, set if an access exits. */
struct vapic_vmx_msrs {
	u64 read;
	u64 write;
};

/*
 * @readable: a bit for each register that KVM's APIC has, by offset / 16. Without the
 * control for x2APIC mode everything exits.
 */
struct vapic_vmx_msrs vapic_vmx_x2apic_msrs(const struct vapic_vmx_controls *controls,
					    u64 readable);

/* Exit 44: true for a plain write to EOI, which needs no emulation. */
bool vapic_vmx_is_eoi_write(u64 qualification);
/* Exit 56: the register's offset in the page. */
u32 vapic_vmx_written(u64 qualification);
/* Exit 45: the vector that ended. */
u8 vapic_vmx_ended(u64 qualification);

VAPIC_C_END

#endif
