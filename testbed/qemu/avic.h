/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD AVIC for TCG: what the hooks in QEMU's own files see of it.
 *
 * One AVICState hangs off every CPU.  It holds what VMRUN loaded from the VMCB,
 * resolved to host pointers, and is live from VMRUN to #VMEXIT.
 */
#ifndef I386_TCG_AVIC_H
#define I386_TCG_AVIC_H

#include "cpu.h"
#include "exec/ram_addr.h"
#include "avic-stats.h"

/* A guest page that was found to be RAM. */
typedef struct AVICPage {
    uint8_t *host;
    ram_addr_t ram;
} AVICPage;

/* A vCPU that an IPI is for. */
typedef struct AVICTarget {
    unsigned id;
    uint64_t entry;     /* of the physical table, as last read */
    AVICPage page;
} AVICTarget;

#define AVIC_ENTRIES_PER_PAGE (TARGET_PAGE_SIZE / sizeof(uint64_t))
/* 4,096 entries. */
#define AVIC_TABLE_PAGES 8

typedef struct AVICState {
    /* Loaded by VMRUN; means nothing unless the CPU is in guest mode as well. */
    bool active;
    bool x2apic;
    hwaddr bar;
    AVICPage backing;
    AVICPage physical_table[AVIC_TABLE_PAGES];
    AVICPage logical_table;
    unsigned max_index;

    /* Of the IPI that is being sent; there is room for all that a table has. */
    unsigned target_count;
    AVICTarget *targets;

    /*
     * A trap-like #VMEXIT that waits for the instruction to retire.  Set and
     * taken by the CPU itself.
     */
    bool exit_pending;
    uint64_t exit_code;
    uint64_t exit_info_1;
    uint64_t exit_info_2;

    /* Written by the CPU itself only; read by anyone at any time. */
    uint64_t stat[AVIC_STAT_COUNT];

    struct return_stack returns;
} AVICState;

static inline AVICState *avic_state(CPUX86State *env)
{
    return env_archcpu(env)->avic;
}

static inline bool avic_active(CPUX86State *env)
{
    return (env->hflags & HF_GUEST_MASK) && avic_state(env)->active;
}

#define MSR_AVIC_DOORBELL 0xc001011b

/* Called once per CPU, after the machine is complete. */
void avic_init(X86CPU *cpu);

/*
 * Load AVIC's part of the VMCB; exit as invalid if it is.  True if AVIC is on, so
 * that virtual interrupts come from the backing page and not from V_IRQ.
 */
bool avic_vmrun(CPUX86State *env, uintptr_t retaddr);

/*
 * Called for every #VMEXIT: a pending trap-like exit comes first and takes its
 * place.  AVIC is off afterwards.
 */
void avic_vmexit(CPUX86State *env, uint64_t *exit_code, uint64_t *exit_info_1);

/* True if AVIC took the write. */
bool avic_write_cr8(CPUX86State *env, uint64_t val);

/*
 * RDMSR and WRMSR by a guest, which no intercept took.  False if the MSR is none of
 * x2AVIC's; may exit or raise an exception instead.
 */
bool avic_read_msr(CPUX86State *env, uint32_t msr, uint64_t *val,
                   uintptr_t retaddr);
bool avic_write_msr(CPUX86State *env, uint32_t msr, uint64_t val,
                    uintptr_t retaddr);

/* WRMSR to the doorbell: @val is the APIC ID of the CPU to ring. */
void avic_doorbell_msr(CPUX86State *env, uint64_t val);

/*
 * For the IOMMU, with the BQL held.  avic_post() makes edge-triggered interrupt
 * @vector pending in the backing page at @pa, and has a full barrier behind;
 * false if there is no memory.  avic_ring_by_iommu() rings the CPU with physical
 * APIC ID @host_id.  avic_count_iommu() counts one of enum avic_stat.
 */
bool avic_post(hwaddr pa, unsigned vector);
void avic_ring_by_iommu(uint32_t host_id);
void avic_count_iommu(unsigned stat);

/*
 * Answer CPU_INTERRUPT_AVIC: take the pending exit, or look at the IRR again.
 * Called with the BQL held.
 */
void avic_service(CPUX86State *env);

/*
 * HLT by a guest: true if it exits because that is asked for and neither AVIC nor
 * V_IRQ has an interrupt for the guest, whether it may take it now or not.
 */
bool avic_idle_hlt(CPUX86State *env);

/* Move the highest request to in-service; its vector, or -1 if none may be taken. */
int avic_take_interrupt(CPUX86State *env);

void avic_do_redirect(MMUAccessType access, hwaddr gpa, hwaddr *paddr, int *prot);

/*
 * Second stage of the guest's page walk: send an access of the APIC page to the
 * region that implements it, whatever address the leaf holds.
 */
static inline void avic_redirect(CPUX86State *env, MMUAccessType access,
                                 hwaddr gpa, hwaddr *paddr, int *prot)
{
    AVICState *avic = avic_state(env);

    if (unlikely(avic->active && !avic->x2apic &&
                 (gpa & TARGET_PAGE_MASK) == avic->bar)) {
        avic_do_redirect(access, gpa, paddr, prot);
    }
}

/* Count one of what testbed/cost.h names, unless a guest runs. */
void avic_cost(CPUX86State *env, enum cost_kind kind);

#endif
