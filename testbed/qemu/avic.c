/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AMD AVIC for TCG, in xAPIC and, as x2AVIC, in x2APIC mode.
 *
 * The guest's APIC page is not memory: avic_redirect() points its translations at
 * a region of our own, far above any physical address a page table can hold.  The
 * region's handlers know the CPU they run on, hence its backing page; so one
 * region serves all CPUs and no translation can lead to another one's page.
 *
 * In x2APIC mode the page is memory like any other, and the registers are MSRs.
 *
 * Being I/O, an access is always the last of its translation block, and so is
 * WRMSR.  A trap-like exit is therefore only noted by the handler, raises
 * CPU_INTERRUPT_AVIC, and is taken at the boundary that follows.
 *
 * References are to the AMD64 Architecture Programmer's Manual, volume 2,
 * section "Advanced Virtual Interrupt Controller".
 */

#include "qemu/osdep.h"
#include "qemu/guest-random.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "cpu.h"
#include "exec/address-spaces.h"
#include "exec/exec-all.h"
#include "tcg/helper-tcg.h"
#include "avic.h"

/* One past the widest physical address: 52 bits. */
#define AVIC_REGION_BASE (1ull << 52)

/* VMCB fields, by offset into the control area. */
enum {
    VMCB_INTERCEPT_5    = 0x014,
    VMCB_APIC_BAR       = 0x098,
    VMCB_BACKING_PAGE   = 0x0e0,
    VMCB_LOGICAL_TABLE  = 0x0f0,
    VMCB_PHYSICAL_TABLE = 0x0f8,
};

#define INTERCEPT_IDLE_HLT (1u << 6)

#define INT_CTL_AVIC    (1u << 31)
#define INT_CTL_X2APIC  (1u << 30)

#define ADDRESS_MASK    MAKE_64BIT_MASK(12, 40)

/* The largest index in each mode.  In xAPIC mode FFh is broadcast. */
#define XAPIC_MAX_INDEX      0xfe
#define X2APIC_MAX_INDEX     0x1ff
#define X2APIC_EXT_MAX_INDEX 0xfff

#define XAPIC_BROADCAST  0xffu
#define X2APIC_BROADCAST 0xffffffffu

#define PHYSICAL_VALID   (1ull << 63)
#define PHYSICAL_RUNNING (1ull << 62)
#define PHYSICAL_HOST_ID 0xfffull
#define LOGICAL_VALID    (1u << 31)
#define LOGICAL_GUEST_ID 0xffu

enum {
    EXIT_INCOMPLETE_IPI = 0x401,
    EXIT_NOACCEL        = 0x402,
};

#define NOACCEL_WRITE (1ull << 32)

typedef enum IPIFailure {
    IPI_INVALID_TYPE    = 0,
    IPI_NOT_RUNNING     = 1,
    IPI_INVALID_TARGET  = 2,
    IPI_INVALID_BACKING = 3,
    IPI_INVALID_VECTOR  = 4,
} IPIFailure;

/* Register offsets in the APIC page. */
enum {
    REG_ID     = 0x020,
    REG_TPR    = 0x080,
    REG_PPR    = 0x0a0,
    REG_EOI    = 0x0b0,
    REG_RRR    = 0x0c0,
    REG_LDR    = 0x0d0,
    REG_DFR    = 0x0e0,
    REG_SPIV   = 0x0f0,
    REG_ISR    = 0x100,
    REG_TMR    = 0x180,
    REG_IRR    = 0x200,
    REG_ESR    = 0x280,
    REG_ICR    = 0x300,
    REG_ICR2   = 0x310,
    REG_LVTT   = 0x320,
    REG_LVTERR = 0x370,
    REG_TMICT  = 0x380,
    REG_TDCR   = 0x3e0,
    REG_SELF   = 0x3f0,
    REG_EXTENDED     = 0x400,
    REG_EXTENDED_END = 0x530,
};

#define ICR_BUSY        (1u << 12)
#define ICR_LOGICAL     (1u << 11)
#define ICR_LEVEL       (1u << 15)
#define ICR_MODE(icr)   (((icr) >> 8) & 7)
#define ICR_SHORT(icr)  (((icr) >> 18) & 3)
#define ICR_VECTOR(icr) ((icr) & 0xff)

/* In x2APIC mode, of the lower half: delivery status among them. */
#define X2APIC_ICR_RESERVED 0xfff33000u

enum { SHORT_NONE, SHORT_SELF, SHORT_ALL, SHORT_OTHERS };

static MemoryRegion avic_region;
static X86CPU *avic_cpus[PHYSICAL_HOST_ID + 1];

/* ---- The CPU's own counters ---- */

static inline void count_n(AVICState *avic, unsigned stat, uint64_t n)
{
    qatomic_set(&avic->stat[stat], avic->stat[stat] + n);
}

static inline void count(AVICState *avic, unsigned stat)
{
    count_n(avic, stat, 1);
}

static void count_exit(AVICState *avic, uint64_t code, uint64_t info_1,
                       uint64_t info_2)
{
    count(avic, AVIC_STAT_EXIT);
    if (code < AVIC_STATS_LOW_EXITS) {
        count(avic, AVIC_STAT_EXIT_LOW + code);
    } else if (code - 0x400 < AVIC_STATS_HIGH_EXITS) {
        count(avic, AVIC_STAT_EXIT_HIGH + code - 0x400);
    } else if ((int32_t)code == SVM_EXIT_ERR) {
        count(avic, AVIC_STAT_EXIT_INVALID);
    } else {
        count(avic, AVIC_STAT_EXIT_OTHER);
    }

    if (code == EXIT_INCOMPLETE_IPI) {
        count(avic, AVIC_STAT_INCOMPLETE_IPI + (info_2 >> 32));
    } else if (code == EXIT_NOACCEL) {
        count(avic, (info_1 & NOACCEL_WRITE ? AVIC_STAT_NOACCEL_WRITE :
                                              AVIC_STAT_NOACCEL_READ) +
                    ((info_1 & 0xff0) >> 4));
    }
}

/* ---- Guest pages ---- */

/* False if @pa is not the address of a page of writable RAM. */
static bool page_map(CPUX86State *env, hwaddr pa, AVICPage *page)
{
    X86CPU *cpu = env_archcpu(env);
    hwaddr len = TARGET_PAGE_SIZE;
    hwaddr offset;
    MemoryRegion *mr;

    if (pa >> cpu->phys_bits) {
        return false;
    }
    mr = address_space_translate(CPU(cpu)->as, pa, &offset, &len, true,
                                 MEMTXATTRS_UNSPECIFIED);
    if (!memory_region_is_ram(mr) || mr->readonly || len < TARGET_PAGE_SIZE) {
        return false;
    }
    page->host = (uint8_t *)memory_region_get_ram_ptr(mr) + offset;
    page->ram = memory_region_get_ram_addr(mr) + offset;
    return true;
}

/*
 * Must precede writes that bypass the TLB: drop code translated from the page, tell
 * those who track dirty pages.  Almost always there is nothing to do.
 */
static void page_will_change(const AVICPage *page)
{
    if (likely(!cpu_physical_memory_is_clean(page->ram))) {
        return;
    }
    if (!cpu_physical_memory_get_dirty_flag(page->ram, DIRTY_MEMORY_CODE)) {
        tb_invalidate_phys_range(page->ram, page->ram + TARGET_PAGE_SIZE - 1);
    }
    cpu_physical_memory_set_dirty_range(page->ram, TARGET_PAGE_SIZE,
                                        DIRTY_CLIENTS_NOCODE);
}

static inline uint32_t *page_reg(const AVICPage *page, unsigned offset)
{
    return (uint32_t *)(page->host + offset);
}

static inline uint32_t reg_read(const AVICPage *page, unsigned offset)
{
    return le32_to_cpu(qatomic_read(page_reg(page, offset)));
}

static inline void reg_write(const AVICPage *page, unsigned offset, uint32_t val)
{
    qatomic_set(page_reg(page, offset), cpu_to_le32(val));
}

/* The 256-bit registers: eight words, 16 bytes apart. */
static inline uint32_t *bit_word(const AVICPage *page, unsigned offset, unsigned vector)
{
    return page_reg(page, offset + (vector >> 5) * 16);
}

static inline uint32_t bit_mask(unsigned vector)
{
    return cpu_to_le32(1u << (vector & 31));
}

static inline bool bit_test(const AVICPage *page, unsigned offset, unsigned vector)
{
    return qatomic_read(bit_word(page, offset, vector)) & bit_mask(vector);
}

static inline void bit_set(const AVICPage *page, unsigned offset, unsigned vector)
{
    qatomic_or(bit_word(page, offset, vector), bit_mask(vector));
}

static inline void bit_clear(const AVICPage *page, unsigned offset, unsigned vector)
{
    qatomic_and(bit_word(page, offset, vector), ~bit_mask(vector));
}

static int bit_highest(const AVICPage *page, unsigned offset)
{
    int i;

    for (i = 7; i >= 0; i--) {
        uint32_t word = reg_read(page, offset + i * 16);

        if (word) {
            return i * 32 + 31 - clz32(word);
        }
    }
    return -1;
}

/* Make an edge-triggered interrupt pending. */
static void request(const AVICPage *page, unsigned vector)
{
    page_will_change(page);
    if (bit_test(page, REG_TMR, vector)) {
        bit_clear(page, REG_TMR, vector);
    }
    bit_set(page, REG_IRR, vector);
}

/* ---- Priorities, and the interrupt to take ---- */

/*
 * The priority that counts is V_TPR: writes keep the backing page's TPR equal to
 * it, VMRUN does not.
 */
static uint32_t compute_ppr(CPUX86State *env)
{
    AVICState *avic = avic_state(env);
    uint32_t tpr = reg_read(&avic->backing, REG_TPR) & 0xff;
    uint32_t v_tpr = (env->int_ctl & V_TPR_MASK) << 4;
    int isr = bit_highest(&avic->backing, REG_ISR);

    if ((tpr & 0xf0) != v_tpr) {
        tpr = v_tpr;
    }
    if (isr >= 0 && (isr & 0xf0) > (tpr & 0xf0)) {
        return isr & 0xf0;
    }
    return tpr;
}

/* Renew PPR; the vector that may interrupt, or -1. */
static int evaluate(CPUX86State *env)
{
    AVICState *avic = avic_state(env);
    uint32_t ppr = compute_ppr(env);
    int irr = bit_highest(&avic->backing, REG_IRR);

    if (reg_read(&avic->backing, REG_PPR) != ppr) {
        reg_write(&avic->backing, REG_PPR, ppr);
    }
    return irr >= 0 && (irr & 0xf0) > (ppr & 0xf0) ? irr : -1;
}

/* Bring CPU_INTERRUPT_VIRQ up to date; BQL held. */
static void update_interrupt(CPUX86State *env)
{
    if (evaluate(env) >= 0) {
        cpu_interrupt(env_cpu(env), CPU_INTERRUPT_VIRQ);
    } else {
        cpu_reset_interrupt(env_cpu(env), CPU_INTERRUPT_VIRQ);
    }
}

int avic_take_interrupt(CPUX86State *env)
{
    AVICState *avic = avic_state(env);
    int vector = evaluate(env);

    if (vector >= 0) {
        page_will_change(&avic->backing);
        bit_set(&avic->backing, REG_ISR, vector);
        bit_clear(&avic->backing, REG_IRR, vector);
        count(avic, AVIC_STAT_VIRTUAL_INTERRUPT);
    }
    update_interrupt(env);
    return vector;
}

bool avic_idle_hlt(CPUX86State *env)
{
    uint32_t intercepts = x86_ldl_phys(env_cpu(env), env->vm_vmcb + VMCB_INTERCEPT_5);

    return (env->features[FEAT_SVM] & CPUID_SVM_IDLE_HLT) &&
           (intercepts & INTERCEPT_IDLE_HLT) &&
           !(avic_active(env) ? evaluate(env) >= 0 : ctl_has_irq(env));
}

/* ---- Exits ---- */

/* Exit once the current instruction has retired; BQL held. */
static void exit_after(CPUX86State *env, uint64_t code, uint64_t info_1,
                       uint64_t info_2)
{
    AVICState *avic = avic_state(env);

    avic->exit_pending = true;
    avic->exit_code = code;
    avic->exit_info_1 = info_1;
    avic->exit_info_2 = info_2;
    cpu_interrupt(env_cpu(env), CPU_INTERRUPT_AVIC);
}

/* Exit before the current instruction, undoing what it did so far. */
static G_NORETURN void exit_instead(CPUX86State *env, uint64_t info_1,
                                    uintptr_t retaddr)
{
    x86_stq_phys(env_cpu(env),
                 env->vm_vmcb + offsetof(struct vmcb, control.exit_info_2), 0);
    cpu_vmexit(env, EXIT_NOACCEL, info_1, retaddr);
}

static void incomplete_ipi(CPUX86State *env, uint32_t icr, uint32_t icr2,
                           IPIFailure id, unsigned index)
{
    exit_after(env, EXIT_INCOMPLETE_IPI, (uint64_t)icr2 << 32 | icr,
               (uint64_t)id << 32 | index);
}

void avic_vmexit(CPUX86State *env, uint64_t *exit_code, uint64_t *exit_info_1)
{
    AVICState *avic = avic_state(env);
    CPUState *cs = env_cpu(env);
    hwaddr info_2 = env->vm_vmcb + offsetof(struct vmcb, control.exit_info_2);

    if (avic->exit_pending) {
        avic->exit_pending = false;
        *exit_code = avic->exit_code;
        *exit_info_1 = avic->exit_info_1;
        x86_stq_phys(cs, info_2, avic->exit_info_2);
    }
    avic->active = false;
    count_exit(avic, *exit_code, *exit_info_1, avic->exit_info_2);
}

/* ---- Doorbells ---- */

/*
 * Ring the CPU with physical APIC ID @host_id, if there is one; BQL held.
 *
 * A CPU that executes need not leave its loop for this, as cpu_interrupt() would
 * make it.  One that sleeps has set halted before it last released the BQL, so
 * it is not missed.
 */
static void ring(unsigned host_id)
{
    X86CPU *target = host_id < ARRAY_SIZE(avic_cpus) ? avic_cpus[host_id] : NULL;
    CPUState *cs = CPU(target);

    if (!target) {
        return;
    }
    if (cs->halted) {
        cpu_interrupt(cs, CPU_INTERRUPT_AVIC);
        return;
    }
    cs->interrupt_request |= CPU_INTERRUPT_AVIC;
    /* The request must be there when the target sees that it has to look. */
    smp_wmb();
    qatomic_set(&cs->neg.icount_decr.u16.high, -1);
}

void avic_doorbell_msr(CPUX86State *env, uint64_t val)
{
    if (!(env->features[FEAT_SVM] & CPUID_SVM_AVIC)) {
        return;
    }
    count(avic_state(env), AVIC_STAT_DOORBELL_MSR);
    bql_lock();
    ring(MIN(val, UINT32_MAX));
    bql_unlock();
}

/* ---- The IOMMU, which posts interrupts of devices ---- */

/* It is no CPU, so its counters are in the first one's row. */
void avic_count_iommu(unsigned stat)
{
    assert(bql_locked());
    count(X86_CPU(first_cpu)->avic, stat);
}

bool avic_post(hwaddr pa, unsigned vector)
{
    AVICPage page;

    assert(bql_locked());
    RCU_READ_LOCK_GUARD();
    if (!page_map(cpu_env(first_cpu), pa, &page)) {
        return false;
    }
    request(&page, vector);
    smp_mb();
    return true;
}

void avic_ring_by_iommu(uint32_t host_id)
{
    avic_count_iommu(AVIC_STAT_DOORBELL_IOMMU);
    ring(host_id);
}

void avic_service(CPUX86State *env)
{
    AVICState *avic = avic_state(env);
    CPUState *cs = env_cpu(env);

    /*
     * Left set, the request would be answered again; a doorbell that comes
     * between #VMEXIT and VMRUN needs no answer.
     */
    cs->interrupt_request &= ~CPU_INTERRUPT_AVIC;

    if (!avic_active(env)) {
        avic->exit_pending = false;
        count(avic, AVIC_STAT_DOORBELL_LOST);
        return;
    }
    if (avic->exit_pending) {
        cpu_vmexit(env, avic->exit_code, avic->exit_info_1, 0);
    }
    count(avic, AVIC_STAT_DOORBELL_RUNNING);
    update_interrupt(env);
    if (cs->interrupt_request) {
        /* The main loop takes one request a time: make it come again. */
        cpu_interrupt(cs, cs->interrupt_request);
    }
}

/* ---- IPIs ---- */

/* The guest's own physical ID, in its mode. */
static uint32_t own_id(AVICState *avic)
{
    uint32_t id = reg_read(&avic->backing, REG_ID);

    return avic->x2apic ? id : id >> 24;
}

static uint64_t physical_entry(AVICState *avic, unsigned id)
{
    uint8_t *page = avic->physical_table[id / AVIC_ENTRIES_PER_PAGE].host;
    uint64_t *table = (uint64_t *)page;

    return le64_to_cpu(qatomic_read(&table[id % AVIC_ENTRIES_PER_PAGE]));
}

/*
 * Append the vCPU with guest physical APIC ID @id.  True, or false with the
 * failure in @why.
 */
static bool add_target(CPUX86State *env, unsigned id, IPIFailure *why)
{
    AVICState *avic = avic_state(env);
    AVICTarget *target = &avic->targets[avic->target_count];
    uint64_t entry;

    if (id > avic->max_index) {
        *why = IPI_INVALID_TARGET;
        return false;
    }
    entry = physical_entry(avic, id);
    if (!(entry & PHYSICAL_VALID)) {
        *why = IPI_INVALID_TARGET;
        return false;
    }
    if (!page_map(env, entry & ADDRESS_MASK, &target->page)) {
        *why = IPI_INVALID_BACKING;
        return false;
    }
    target->id = id;
    target->entry = entry;
    avic->target_count++;
    return true;
}

/*
 * Resolve logical destination @dest of xAPIC mode; on failure @index is the table
 * entry at fault.
 */
static bool add_logical(CPUX86State *env, uint8_t dest,
                        IPIFailure *why, unsigned *index)
{
    AVICState *avic = avic_state(env);
    uint32_t *table = (uint32_t *)avic->logical_table.host;
    bool flat = reg_read(&avic->backing, REG_DFR) >> 28 == 0xf;
    unsigned first = flat ? 0 : (dest >> 4) * 4;
    unsigned bits = flat ? dest : dest & 0xf;

    for (; bits; bits &= bits - 1) {
        uint32_t entry;

        *index = first + ctz32(bits);
        entry = le32_to_cpu(qatomic_read(&table[*index]));
        if (!(entry & LOGICAL_VALID)) {
            *why = IPI_INVALID_TARGET;
            return false;
        }
        if (!add_target(env, entry & LOGICAL_GUEST_ID, why)) {
            return false;
        }
    }
    return true;
}

/*
 * The same of x2APIC mode, where logical IDs follow from the physical ones: a
 * cluster of 16 and a bit for each member.  @index is a physical ID.
 */
static bool add_cluster(CPUX86State *env, uint32_t dest,
                        IPIFailure *why, unsigned *index)
{
    unsigned members = dest & 0xffff;

    for (; members; members &= members - 1) {
        *index = (dest >> 16) * 16 + ctz32(members);
        if (!add_target(env, *index, why)) {
            return false;
        }
    }
    return true;
}

/* Every valid vCPU; those that are not are passed over. */
static bool add_broadcast(CPUX86State *env, int64_t except,
                          IPIFailure *why, unsigned *index)
{
    AVICState *avic = avic_state(env);
    unsigned id;

    for (id = 0; id <= avic->max_index; id++) {
        if (id == except || !(physical_entry(avic, id) & PHYSICAL_VALID)) {
            continue;
        }
        *index = id;
        if (!add_target(env, id, why) && *why != IPI_INVALID_TARGET) {
            return false;
        }
    }
    return true;
}

/*
 * Erratum 1235: what IsRunning was when the targets were found is what counts, and
 * the IRR is written later.  How many microseconds is drawn up to a limit; the
 * other CPUs go on meanwhile, unless they want the BQL.
 */
static void wait_before_irr(CPUX86State *env)
{
    uint32_t wait;

    qemu_guest_getrandom_nofail(&wait, sizeof(wait));
    g_usleep(wait % (env_archcpu(env)->erratum_1235 + 1ull));
}

/*
 * The steps of "Inter-Processor Interrupts": find all targets, then set all IRR
 * bits, ring those that run, exit once for those that do not.
 */
static void send_ipi(CPUX86State *env, uint32_t icr, uint32_t icr2)
{
    AVICState *avic = avic_state(env);
    unsigned vector = ICR_VECTOR(icr);
    unsigned shorthand = ICR_SHORT(icr);
    uint32_t dest = avic->x2apic ? icr2 : icr2 >> 24;
    uint32_t everybody = avic->x2apic ? X2APIC_BROADCAST : XAPIC_BROADCAST;
    bool sleeper = false;
    IPIFailure why = IPI_INVALID_TARGET;
    unsigned index = dest;
    unsigned kind;
    unsigned i;
    bool ok;

    if (ICR_MODE(icr) != 0 || (icr & ICR_LEVEL)) {
        incomplete_ipi(env, icr, icr2, IPI_INVALID_TYPE, 0);
        return;
    }
    if (vector < 16) {
        incomplete_ipi(env, icr, icr2, IPI_INVALID_VECTOR, 0);
        return;
    }
    if (shorthand == SHORT_SELF) {
        request(&avic->backing, vector);
        count(avic, AVIC_STAT_IPI_TARGET);
        count(avic, AVIC_STAT_IPI_SELF);
        update_interrupt(env);
        return;
    }

    avic->target_count = 0;
    if (shorthand != SHORT_NONE || dest == everybody) {
        int64_t self = shorthand == SHORT_OTHERS ? own_id(avic) : -1;

        kind = AVIC_STAT_IPI_BROADCAST;
        ok = add_broadcast(env, self, &why, &index);
    } else if (icr & ICR_LOGICAL) {
        kind = AVIC_STAT_IPI_LOGICAL;
        ok = avic->x2apic ? add_cluster(env, dest, &why, &index) :
                            add_logical(env, dest, &why, &index);
    } else {
        kind = AVIC_STAT_IPI_PHYSICAL;
        ok = add_target(env, dest, &why);
    }
    if (!ok) {
        incomplete_ipi(env, icr, icr2, why, index);
        return;
    }

    if (env_archcpu(env)->erratum_1235) {
        wait_before_irr(env);
    }
    for (i = 0; i < avic->target_count; i++) {
        request(&avic->targets[i].page, vector);
    }
    /*
     * The target's software clears IsRunning, then reads IRR; so here IRR must
     * be visible before IsRunning is read.
     */
    smp_mb();
    for (i = 0; i < avic->target_count; i++) {
        uint64_t entry = avic->targets[i].entry;

        if (!env_archcpu(env)->erratum_1235) {
            entry = physical_entry(avic, avic->targets[i].id);
        }
        if (entry & PHYSICAL_RUNNING) {
            count(avic, AVIC_STAT_DOORBELL_IPI);
            ring(entry & PHYSICAL_HOST_ID);
        } else if (!sleeper) {
            sleeper = true;
            index = avic->targets[i].id;
        }
    }
    count_n(avic, AVIC_STAT_IPI_TARGET, avic->target_count);
    if (sleeper) {
        incomplete_ipi(env, icr, icr2, IPI_NOT_RUNNING, index);
    } else {
        count(avic, kind);
    }
}

/* ---- The APIC page ---- */

static void write_tpr(CPUX86State *env, uint8_t tpr)
{
    AVICState *avic = avic_state(env);

    reg_write(&avic->backing, REG_TPR, tpr);
    env->int_ctl = (env->int_ctl & ~V_TPR_MASK) | tpr >> 4;
    count(avic, AVIC_STAT_TPR);
    update_interrupt(env);
}

bool avic_write_cr8(CPUX86State *env, uint64_t val)
{
    if (!avic_active(env)) {
        return false;
    }
    page_will_change(&avic_state(env)->backing);
    bql_lock();
    write_tpr(env, (val & V_TPR_MASK) << 4);
    bql_unlock();
    return true;
}

/*
 * The end of a level-triggered interrupt is for the hypervisor to complete: it
 * finds the vector still in service.
 */
static void write_eoi(CPUX86State *env, uint32_t val)
{
    AVICState *avic = avic_state(env);
    int vector = bit_highest(&avic->backing, REG_ISR);

    if (vector < 0) {
        count(avic, AVIC_STAT_EOI);
        return;
    }
    if (bit_test(&avic->backing, REG_TMR, vector)) {
        reg_write(&avic->backing, REG_EOI, val);
        exit_after(env, EXIT_NOACCEL, NOACCEL_WRITE | REG_EOI, vector);
        return;
    }
    bit_clear(&avic->backing, REG_ISR, vector);
    count(avic, AVIC_STAT_EOI);
    update_interrupt(env);
}

typedef enum Rule {
    RULE_FAST,          /* no exit */
    RULE_TRAP,          /* exit after the write */
    RULE_FAULT,         /* exit instead of the access */
} Rule;

/* Table "Guest vAPIC Register Access Behavior", reads. */
static Rule read_rule(unsigned offset)
{
    switch (offset) {
    case REG_ID:
    case REG_ID + 0x10:         /* version */
    case REG_TPR ... REG_ESR:
    case REG_ICR ... REG_TMICT:
    case REG_TDCR:
        return RULE_FAST;
    default:
        return RULE_FAULT;
    }
}

/* The same table, writes. */
static Rule write_rule(unsigned offset)
{
    switch (offset) {
    case REG_TPR:
    case REG_EOI:
    case REG_ICR:
    case REG_ICR2:
        return RULE_FAST;
    case REG_ID:
    case REG_RRR:
    case REG_LDR:
    case REG_DFR:
    case REG_SPIV:
    case REG_ESR:
    case REG_LVTT ... REG_LVTERR:
    case REG_TMICT:
    case REG_TDCR:
        return RULE_TRAP;
    default:
        return RULE_FAULT;
    }
}

/* The guest at work; null if a debugger or a stray DMA found the region. */
static CPUX86State *region_env(void)
{
    return current_cpu && avic_active(cpu_env(current_cpu)) ?
           cpu_env(current_cpu) : NULL;
}

static uint64_t region_read(void *opaque, hwaddr addr, unsigned size)
{
    CPUX86State *env = region_env();
    unsigned offset = addr & 0xff0;
    AVICState *avic;

    if (!env) {
        return 0;
    }
    avic = avic_state(env);
    if (avic->exit_pending || read_rule(offset) == RULE_FAULT) {
        exit_instead(env, offset, current_cpu->mem_io_pc);
    }
    count(avic, AVIC_STAT_READ);
    return ldn_le_p(avic->backing.host + addr, size);
}

static void region_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
    CPUX86State *env = region_env();
    unsigned offset = addr & 0xff0;
    Rule rule = write_rule(offset);
    AVICState *avic;

    if (!env) {
        return;
    }
    avic = avic_state(env);
    /*
     * A pending exit means that a repeated string instruction comes here again:
     * stop between its iterations.  A write that is not of a whole register has
     * no defined effect; let the hypervisor decide.
     */
    if (avic->exit_pending || rule == RULE_FAULT || size != 4 || addr != offset) {
        exit_instead(env, NOACCEL_WRITE | offset, current_cpu->mem_io_pc);
    }

    page_will_change(&avic->backing);
    if (rule == RULE_TRAP) {
        reg_write(&avic->backing, offset, val);
        exit_after(env, EXIT_NOACCEL, NOACCEL_WRITE | offset, 0);
        return;
    }
    switch (offset) {
    case REG_TPR:
        write_tpr(env, val);
        break;
    case REG_EOI:
        write_eoi(env, val);
        break;
    case REG_ICR:
        val &= ~ICR_BUSY;
        reg_write(&avic->backing, REG_ICR, val);
        send_ipi(env, val, reg_read(&avic->backing, REG_ICR2));
        break;
    case REG_ICR2:
        reg_write(&avic->backing, REG_ICR2, val);
        break;
    }
}

static const MemoryRegionOps region_ops = {
    .read = region_read,
    .write = region_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid.min_access_size = 1,
    .valid.max_access_size = 8,
    .impl.min_access_size = 1,
    .impl.max_access_size = 8,
};

/* ---- The MSRs of x2APIC mode ---- */

/* What software reads at @offset; false if there is no such register. */
static bool msr_value(AVICState *avic, unsigned offset, uint64_t *val)
{
    uint32_t id;

    switch (offset) {
    case REG_LDR:
        id = own_id(avic);
        *val = id >> 4 << 16 | 1u << (id & 0xf);
        return true;
    case REG_ICR:
        *val = (uint64_t)reg_read(&avic->backing, REG_ICR2) << 32 |
               reg_read(&avic->backing, REG_ICR);
        return true;
    case REG_ID:
    case REG_ID + 0x10:         /* version */
    case REG_TPR:
    case REG_PPR:
    case REG_SPIV:
    case REG_ISR ... REG_ESR:
    case REG_LVTT ... REG_LVTERR:
    case REG_TMICT:
    case REG_TDCR:
        *val = reg_read(&avic->backing, offset);
        return true;
    default:
        return false;
    }
}

/* Registers of which hardware leaves each access to the hypervisor. */
static bool msr_is_left(unsigned offset)
{
    return offset == REG_TMICT + 0x10 ||        /* current count */
           (offset >= REG_EXTENDED && offset <= REG_EXTENDED_END);
}

static bool msr_is_ours(CPUX86State *env, uint32_t msr)
{
    return avic_active(env) && avic_state(env)->x2apic &&
           msr >= MSR_APIC_START && msr <= MSR_APIC_END;
}

bool avic_read_msr(CPUX86State *env, uint32_t msr, uint64_t *val,
                   uintptr_t retaddr)
{
    AVICState *avic = avic_state(env);
    unsigned offset = (msr - MSR_APIC_START) << 4;

    if (!msr_is_ours(env, msr)) {
        return false;
    }
    if (msr_is_left(offset)) {
        exit_instead(env, offset, retaddr);
    }
    if (!msr_value(avic, offset, val)) {
        raise_exception_err_ra(env, EXCP0D_GPF, 0, retaddr);
    }
    count(avic, AVIC_STAT_READ);
    return true;
}

/* False if @val has reserved bits or the register is none that can be written. */
static bool msr_may_write(unsigned offset, uint64_t val)
{
    switch (offset) {
    case REG_TPR:
    case REG_SELF:
        return val <= 0xff;
    case REG_EOI:
    case REG_ESR:
        return val == 0;
    case REG_ICR:
        return !(val & X2APIC_ICR_RESERVED);
    case REG_SPIV:
    case REG_LVTT ... REG_LVTERR:
    case REG_TMICT:
    case REG_TDCR:
        return val <= UINT32_MAX;
    default:
        return false;
    }
}

bool avic_write_msr(CPUX86State *env, uint32_t msr, uint64_t val,
                    uintptr_t retaddr)
{
    AVICState *avic = avic_state(env);
    unsigned offset = (msr - MSR_APIC_START) << 4;

    if (!msr_is_ours(env, msr)) {
        return false;
    }
    if (offset >= REG_EXTENDED && msr_is_left(offset)) {
        exit_instead(env, NOACCEL_WRITE | offset, retaddr);
    }
    if (!msr_may_write(offset, val)) {
        raise_exception_err_ra(env, EXCP0D_GPF, 0, retaddr);
    }

    page_will_change(&avic->backing);
    bql_lock();
    switch (offset) {
    case REG_TPR:
        write_tpr(env, val);
        break;
    case REG_EOI:
        write_eoi(env, val);
        break;
    case REG_ICR:
        reg_write(&avic->backing, REG_ICR, val);
        reg_write(&avic->backing, REG_ICR2, val >> 32);
        send_ipi(env, val, val >> 32);
        break;
    case REG_SELF:
        send_ipi(env, SHORT_SELF << 18 | val, 0);
        break;
    default:
        reg_write(&avic->backing, offset, val);
        exit_after(env, EXIT_NOACCEL, NOACCEL_WRITE | offset, 0);
        break;
    }
    bql_unlock();
    return true;
}

/*
 * The manual has nothing on fetching code from the APIC page.  Let it come from the
 * page that the nested tables name, through a translation that serves fetches only.
 */
void avic_do_redirect(MMUAccessType access, hwaddr gpa, hwaddr *paddr, int *prot)
{
    if (access == MMU_INST_FETCH) {
        *prot &= PAGE_EXEC;
        return;
    }
    *prot &= ~PAGE_EXEC;
    *paddr = AVIC_REGION_BASE | (gpa & ~TARGET_PAGE_MASK);
}

/* ---- VMRUN ---- */

static unsigned largest_index(CPUX86State *env)
{
    if (!avic_state(env)->x2apic) {
        return XAPIC_MAX_INDEX;
    }
    return env_archcpu(env)->x2avic_ext ? X2APIC_EXT_MAX_INDEX : X2APIC_MAX_INDEX;
}

/* The table's pages that hold entries up to the largest index. */
static bool map_physical_table(CPUX86State *env, hwaddr pa)
{
    AVICState *avic = avic_state(env);
    unsigned i;

    for (i = 0; i <= avic->max_index / AVIC_ENTRIES_PER_PAGE; i++) {
        if (!page_map(env, pa + i * TARGET_PAGE_SIZE, &avic->physical_table[i])) {
            return false;
        }
    }
    return true;
}

/* In x2APIC mode nothing looks at the logical table. */
static bool map_logical_table(CPUX86State *env)
{
    AVICState *avic = avic_state(env);
    hwaddr pa = x86_ldq_phys(env_cpu(env), env->vm_vmcb + VMCB_LOGICAL_TABLE);

    return avic->x2apic || page_map(env, pa & ADDRESS_MASK, &avic->logical_table);
}

bool avic_vmrun(CPUX86State *env, uintptr_t retaddr)
{
    AVICState *avic = avic_state(env);
    CPUState *cs = env_cpu(env);
    uint64_t physical = x86_ldq_phys(cs, env->vm_vmcb + VMCB_PHYSICAL_TABLE);

    avic->active = false;
    avic->exit_pending = false;
    if (!(env->features[FEAT_SVM] & CPUID_SVM_AVIC) ||
        !(env->int_ctl & INT_CTL_AVIC)) {
        count(avic, AVIC_STAT_VMRUN);
        return false;
    }

    avic->bar = x86_ldq_phys(cs, env->vm_vmcb + VMCB_APIC_BAR) & ADDRESS_MASK;
    avic->x2apic = env->int_ctl & INT_CTL_X2APIC;
    avic->max_index = physical & ~ADDRESS_MASK & 0xfff;
    if (!(env->hflags2 & HF2_NPT_MASK) ||
        (avic->x2apic && !(env->features[FEAT_SVM] & CPUID_SVM_X2AVIC)) ||
        avic->max_index > largest_index(env) ||
        avic->bar >> env_archcpu(env)->phys_bits ||
        !page_map(env, x86_ldq_phys(cs, env->vm_vmcb + VMCB_BACKING_PAGE) &
                       ADDRESS_MASK, &avic->backing) ||
        !map_logical_table(env) ||
        !map_physical_table(env, physical & ADDRESS_MASK)) {
        cpu_vmexit(env, SVM_EXIT_ERR, 0, retaddr);
    }

    avic->active = true;
    count(avic, AVIC_STAT_VMRUN);
    page_will_change(&avic->backing);
    if (evaluate(env) >= 0) {
        bql_lock();
        cs->interrupt_request |= CPU_INTERRUPT_VIRQ;
        bql_unlock();
    }
    return true;
}

void avic_init(X86CPU *cpu)
{
    static bool region_added;

    cpu->avic = g_new0(AVICState, 1);
    cpu->avic->targets = g_new(AVICTarget, X2APIC_EXT_MAX_INDEX + 1);
    if (cpu->apic_id < ARRAY_SIZE(avic_cpus)) {
        avic_cpus[cpu->apic_id] = cpu;
    }
    if (!region_added) {
        region_added = true;
        memory_region_init_io(&avic_region, NULL, &region_ops, NULL,
                              "avic-apic-page", TARGET_PAGE_SIZE);
        memory_region_add_subregion(get_system_memory(), AVIC_REGION_BASE,
                                    &avic_region);
    }
}
