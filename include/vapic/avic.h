/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What C may call in the C++ core on AMD. The rest is in vmx.h, lapic.h and eligibility.h.
 *
 * Core allocates nothing, never sleeps and takes no lock. Objects live in memory
 * that the caller provides, zeroed and aligned as said; only core reads or writes
 * them. Unless a function says otherwise, it may be called in any context.
 */
#ifndef VAPIC_AVIC_H
#define VAPIC_AVIC_H

#include <vapic/host.h>
#include <vapic/types.h>

VAPIC_C_BEGIN

/* Alignment, in bytes, of the memory of every core object. */
#define VAPIC_AVIC_ALIGN 64

/* AVIC tables and wake-up state of one VM. */
struct vapic_avic_vm;
/* AVIC state of one vCPU. */
struct vapic_avic_vcpu;

/* Bytes that each object needs; for a VM, by the number of its APIC IDs. */
u32 vapic_avic_vm_size(u32 ids);
u32 vapic_avic_vcpu_size(void);

/* The tables of a VM, and what they are to hold. */
struct vapic_avic_tables {
	void *physical; /* zeroed, @ids entries of 8 bytes, in whole pages */
	void *logical;	/* a zeroed page of 4 KiB */
	/* Host-physical addresses of both, encryption bit included */
	u64 physical_pa;
	u64 logical_pa;
	u32 ids; /* how many guest APIC IDs, from 0 on, the physical table has entries for */
	/*
	 * Keep IsRunning clear in the table that hardware reads, for CPUs on which IPI hardware
	 * may miss its change (AMD erratum 1235).
	 */
	bool hide_running;
};

/* Set up a VM. The caller keeps owning the tables, which must outlive the object. */
void vapic_avic_vm_init(struct vapic_avic_vm *vm, const struct vapic_avic_tables *tables);

/*
 * Set up the vCPU with guest APIC ID @id. @regs is its register page, which hardware uses as
 * backing page, at host-physical @regs_pa; core passes @glue back in calls of host.h. False
 * if @id is beyond the table.
 *
 * The vCPU is not in the VM's tables yet: KVM may be making two vCPUs with one ID, and refuses
 * one of them only when it is complete. The vCPU enters the tables in the first load for which
 * vapic_host_vcpu_stays() is true. Until then nobody can send it anything.
 */
bool vapic_avic_vcpu_init(struct vapic_avic_vcpu *vcpu, struct vapic_avic_vm *vm,
			  struct vapic_vcpu *glue, u32 id, void *regs, u64 regs_pa);

/*
 * Take the vCPU out of both tables. True if it was in them: hardware may still be writing to
 * the backing page for an IPI that began before, so the caller must make every other vCPU
 * leave the guest, and wait for users of the pointer (see vapic_avic_vcpu_ipi()), before it
 * frees anything. A second call does nothing.
 */
bool vapic_avic_vcpu_retire(struct vapic_avic_vcpu *vcpu);

/*
 * Says that the caller is the vCPU's own task, or the one that makes it, with preemption off: the
 * functions that take this never run concurrently for one vCPU, and the CPU does not change
 * meanwhile. Only vapic_on_cpu() and vapic_new_on_cpu() of avic/glue.h make one, and assert both
 * by lockdep.
 */
struct vapic_avic_on_cpu {
	struct vapic_avic_vcpu *vcpu;
};

/*
 * Residency.
 *
 * load: the vCPU is on the CPU with APIC ID @host; it will run unless it blocks.
 * put: the vCPU leaves the CPU, preempted or back to user space. The next VMRUN finds
 *      what arrives meanwhile, so nobody needs to wake it.
 * block: the vCPU is about to sleep; from here on senders wake it. The caller looks for
 *      pending interrupts afterwards (full barrier included).
 * unblock: the vCPU does not sleep any more and is on the CPU with APIC ID @host.
 *      Senders no longer wake it.
 *
 * While a vCPU blocks, load and put change nothing that hardware sees. While it is
 * inactive, or on a CPU whose APIC ID no table entry can hold, none of the four sets
 * IsRunning.
 */
void vapic_avic_vcpu_load(struct vapic_avic_on_cpu on, struct vapic_host_id host);
void vapic_avic_vcpu_put(struct vapic_avic_on_cpu on);
void vapic_avic_vcpu_block(struct vapic_avic_on_cpu on);
void vapic_avic_vcpu_unblock(struct vapic_avic_on_cpu on, struct vapic_host_id host);

/*
 * Turn acceleration of the vCPU on or off. A vCPU is inactive at first; every sender kicks an
 * inactive vCPU. The caller calls load after activate.
 */
void vapic_avic_vcpu_activate(struct vapic_avic_on_cpu on);
void vapic_avic_vcpu_deactivate(struct vapic_avic_on_cpu on);

/*
 * Show IPI hardware that the vCPU runs, as is so at first, or hide it, so that IPIs to the vCPU exit.
 * The caller calls load afterwards, before the vCPU enters the guest again. If the tables hide all
 * vCPUs, this does nothing.
 */
void vapic_avic_vcpu_show_running(struct vapic_avic_on_cpu on, bool shown);

/*
 * Interrupts of assigned devices.
 *
 * block, unblock, load and deactivate call vapic_host_posting() when the IOMMU must do
 * something else than it does. A vCPU that is put, but not blocked, is treated as if it ran on.
 */

/*
 * Says that the caller holds the vCPU's posting lock, which orders all that changes what the IOMMU
 * does with the vCPU's interrupts. Only vapic_avic_posting_locked() of avic/glue.h makes one, and
 * asserts that by lockdep.
 */
struct vapic_avic_posting_locked {
	struct vapic_avic_vcpu *vcpu;
};

/*
 * An interrupt is about to name the vCPU. The result says how the IOMMU is to treat it; the caller
 * sees to that, and calls set with it. Then it requests that the vCPU's own task calls unblock
 * before it enters the guest again, and makes the vCPU leave the guest: the result may be wrong,
 * and the IOMMU may have posted before it knew what to ring. @here: any CPU.
 */
struct vapic_posting vapic_avic_posting_add(struct vapic_avic_posting_locked vcpu,
					    struct vapic_host_id here);
/* The IOMMU does this now with all interrupts that name the vCPU. */
void vapic_avic_posting_set(struct vapic_avic_posting_locked vcpu, struct vapic_posting how);
/*
 * None names the vCPU any more. Each time an interrupt has been taken away, the caller makes the same
 * request as for add: the IOMMU may have posted by an entry that it had cached, and told nobody.
 */
void vapic_avic_posting_end(struct vapic_avic_posting_locked vcpu);
/*
 * From now on the IOMMU is to remap all interrupts that name vCPUs of the VM, or to post them. The
 * caller then requests of each vCPU what is requested for add. Any task may call this.
 */
void vapic_avic_vm_set_remaps(struct vapic_avic_vm *vm, bool remaps);

/* Whether the IOMMU posts now. */
bool vapic_avic_vcpu_posts(const struct vapic_avic_vcpu *vcpu);

/*
 * What an entry in the IOMMU's log says of its interrupt: VM @vm, from 1 to VAPIC_AVIC_GA_TAG_VMS, and
 * which vCPU of it, by its place in the VM's table. Never 0.
 */
#define VAPIC_AVIC_GA_TAG_VMS 0xfffff
u32 vapic_avic_ga_tag(u32 vm, const struct vapic_avic_vcpu *vcpu);
u32 vapic_avic_ga_tag_vm(u32 tag);
u32 vapic_avic_ga_tag_vcpu(u32 tag);

/*
 * The glue's handle of the vCPU with @id, or NULL if there is none in the tables. The caller keeps
 * vCPUs of the VM from being freed.
 */
struct vapic_vcpu *vapic_avic_vm_find(const struct vapic_avic_vm *vm, u32 id);

/*
 * Bring the logical table in line with the LDR and DFR of the register page, after
 * either changes and after activate and deactivate. In x2APIC mode (@x2apic) and
 * while it is inactive, the vCPU has no entry. Called by the vCPU's own task, or with the
 * vCPU's mutex held.
 */
void vapic_avic_vcpu_sync_logical(struct vapic_avic_vcpu *vcpu, bool x2apic);

/* How hardware accelerates a vCPU. */
enum vapic_avic_mode {
	VAPIC_AVIC_OFF,
	VAPIC_AVIC_XAPIC,  /* the page at the APIC's address; in x2APIC mode, doorbells alone */
	VAPIC_AVIC_X2APIC, /* the MSRs of x2APIC mode */
};

/* VMCB words of AVIC, to be stored as they are. */
struct vapic_avic_vmcb {
	u64 apic_bar;	    /* 098h */
	u64 backing_page;   /* 0E0h */
	u64 logical_table;  /* 0F0h */
	u64 physical_table; /* 0F8h, maximum index included */
	u32 int_ctl;	    /* 060h */
};

/* Fill @words for a vCPU in @mode whose interrupt control word is @int_ctl now. */
void vapic_avic_vcpu_vmcb_words(const struct vapic_avic_vcpu *vcpu, u32 int_ctl,
				enum vapic_avic_mode mode, struct vapic_avic_vmcb *words);

/* What is left to do after exit 401h. */
enum vapic_avic_ipi_action {
	VAPIC_AVIC_IPI_DONE,	/* nothing */
	VAPIC_AVIC_IPI_EMULATE, /* send the IPI in software */
	VAPIC_AVIC_IPI_REWRITE, /* as EMULATE, and ICR's busy bit was left set */
	VAPIC_AVIC_IPI_UNKNOWN, /* a failure the manual does not name */
};

struct vapic_avic_ipi_exit {
	u64 info1; /* EXITINFO1 and EXITINFO2 */
	u64 info2;
	bool x2apic;	/* the sender is in x2APIC mode */
	bool visit_all; /* report all destinations, not only those that need it */
};

/*
 * Handle exit 401h of @vcpu. For an IPI that hardware delivered but could not announce to every
 * target, call vapic_host_avic_ipi_target() for each destination that sleeps, is inactive or may run
 * unseen; with visit_all, for each destination. The caller keeps vCPUs of the VM from being
 * freed.
 */
enum vapic_avic_ipi_action vapic_avic_vcpu_ipi(struct vapic_avic_vcpu *vcpu,
					       const struct vapic_avic_ipi_exit *exit);

/* What is left to do after exit 402h. */
enum vapic_avic_access_action {
	VAPIC_AVIC_ACCESS_EMULATE, /* the instruction did not complete: emulate it */
	VAPIC_AVIC_ACCESS_COMMIT,  /* the register holds the new value: act on it */
	VAPIC_AVIC_ACCESS_LOGICAL, /* as COMMIT, then vapic_avic_vcpu_sync_logical() */
	VAPIC_AVIC_ACCESS_IGNORE,  /* a write without effect */
};

struct vapic_avic_access {
	u32 offset; /* of the register in the page, bytes */
	u8 vector;  /* for EOI: the vector ended */
	bool write;
	bool trap; /* the instruction has completed */
	enum vapic_avic_access_action action;
};

/* Exit 402h: decode both EXITINFO words. */
void vapic_avic_vcpu_access(struct vapic_avic_vcpu *vcpu, u64 info1, u64 info2,
			    struct vapic_avic_access *access);

/* MSRs 800h to 8FFh in the MSR permission map: two bits each, read below write, set for an exit. */
#define VAPIC_AVIC_MSR_WORDS 16

/*
 * Fill @words, VAPIC_AVIC_MSR_WORDS of them. All exit unless the vCPU is in x2APIC mode and
 * @accelerated. Then reads are free of those registers whose bit in @readable is set (bit n:
 * offset n * 16), but for the current count, and writes of TPR, EOI, ICR and SELF_IPI.
 */
void vapic_avic_x2apic_msrs(u64 readable, bool accelerated, u32 *words);

/* Whether @words, which vapic_avic_x2apic_msrs() filled last or which are all ones, let any pass. */
bool vapic_avic_x2apic_msrs_pass(const u32 *words);

/* Counts since the vCPU was made; only the vCPU's own task writes them. */
struct vapic_avic_counts {
	u64 ipi_exits[5];   /* exits 401h by failure id */
	u64 ipi_woken;	    /* destinations found asleep, by exits of id 1 */
	u64 ipi_inactive;   /* destinations found inactive, likewise */
	u64 accesses_trap;  /* exits 402h, trap-like */
	u64 accesses_fault; /* exits 402h, fault-like */
};

void vapic_avic_vcpu_counts(const struct vapic_avic_vcpu *vcpu, struct vapic_avic_counts *counts);

VAPIC_C_END

#endif
