/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest virtual APIC mode of the emulated AMD IOMMU: a device's interrupt goes into
 * the IRR of a vCPU's backing page, and the CPU that runs the vCPU gets a doorbell.
 * If none does, the vCPU's tag goes into the guest virtual APIC log, for software to
 * find it and wake it.
 *
 * The registers are in amd_iommu.c's array.  What is kept besides is a cache of
 * interrupt remapping table entries: software that changes one must say so, by
 * INVALIDATE_INTERRUPT_TABLE, and software that does not should be found out here
 * and not on a machine.  IsRun, Destination, GATag and GALogIntr of an entry in guest
 * mode are never cached.
 *
 * References are to the AMD I/O Virtualization Technology (IOMMU) Specification,
 * sections "Guest Virtual APIC" and "Guest Virtual APIC Log".
 */

#include "qemu/osdep.h"
#include "qemu/atomic128.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "system/tcg.h"
#include "hw/i386/apic_internal.h"
#include "hw/i386/trace.h"
#include "avic.h"
#include "amd-iommu-vapic.h"

/* Registers. */
enum {
    REG_LOG_BASE      = 0x00e0,
    REG_LOG_TAIL_COPY = 0x00e8,
    REG_XT_EVENT      = 0x0170,
    REG_XT_PPR        = 0x0178,
    REG_XT_LOG        = 0x0180,
    REG_LOG_HEAD      = 0x2040,
    REG_LOG_TAIL      = 0x2048,
};

#define CONTROL_LOG         (1ull << 28)
#define CONTROL_LOG_INTR    (1ull << 29)
#define CONTROL_XT          (1ull << 50)
#define CONTROL_XT_INTR     (1ull << 51)
#define CONTROL_IRT_UNCACHED (1ull << 59)
/* Three bits; 1 is guest virtual APIC mode. */
#define CONTROL_MODE(c)     extract64(c, 25, 3)

#define STATUS_LOG_RUN      (1ull << 8)
#define STATUS_LOG_OVERFLOW (1ull << 9)
#define STATUS_LOG_INTR     (1ull << 10)
/* Written as 1 to clear; of the event log, the PPR log and COMPLETION_WAIT too. */
#define STATUS_W1C          (STATUS_LOG_OVERFLOW | STATUS_LOG_INTR | 0x67)

#define ADDRESS_MASK        MAKE_64BIT_MASK(12, 40)
#define TAIL_COPY_MASK      MAKE_64BIT_MASK(3, 49)

/* 2^n entries of 8 bytes, from 512 on, which is said by 8. */
#define LOG_SIZE(base)      (16u << MAX(extract64(base, 56, 4), 8))
#define LOG_ENTRY_SIZE      8
#define LOG_POINTER_MASK    MAKE_64BIT_MASK(3, 16)
#define LOG_GUEST_NOT_RUNNING (1ull << 60)

/* Entry of the interrupt remapping table, in guest mode. */
#define IRTE_VALID(lo)      extract64(lo, 0, 1)
#define IRTE_LOG(lo)        extract64(lo, 2, 1)
#define IRTE_RUNS(lo)       extract64(lo, 6, 1)
#define IRTE_GUEST(lo)      extract64(lo, 7, 1)
#define IRTE_TAG(lo)        extract64(lo, 32, 32)
#define IRTE_VECTOR(hi)     extract64(hi, 0, 8)

/* ---- Registers ---- */

static uint64_t reg_get(AMDVIState *s, hwaddr reg)
{
    return ldq_le_p(&s->mmior[reg]);
}

static void reg_set(AMDVIState *s, hwaddr reg, uint64_t val)
{
    stq_le_p(&s->mmior[reg], val);
}

void amdvi_vapic_mmio_write(AMDVIState *s, hwaddr addr, uint64_t val,
                            unsigned size)
{
    hwaddr reg = addr & ~7ull;

    if (!s->guest_vapic) {
        return;
    }
    switch (reg) {
    case AMDVI_MMIO_STATUS:
        val <<= (addr & 7) * 8;
        reg_set(s, reg, reg_get(s, reg) & ~(val & STATUS_W1C));
        break;
    case REG_LOG_BASE:
    case REG_LOG_TAIL_COPY:
    case REG_LOG_HEAD:
    case REG_LOG_TAIL:
    case REG_XT_EVENT:
    case REG_XT_PPR:
    case REG_XT_LOG:
        stn_le_p(&s->mmior[addr], size, val);
        break;
    }
}

/* A log that has overflown runs again when software, having cleared that, says so. */
void amdvi_vapic_control(AMDVIState *s)
{
    uint64_t status = reg_get(s, AMDVI_MMIO_STATUS);
    bool on = s->enabled && (reg_get(s, AMDVI_MMIO_CONTROL) & CONTROL_LOG);

    if (!s->guest_vapic) {
        return;
    }
    if (!on) {
        status &= ~STATUS_LOG_RUN;
    } else if (!(status & STATUS_LOG_OVERFLOW)) {
        status |= STATUS_LOG_RUN;
    }
    reg_set(s, AMDVI_MMIO_STATUS, status);
}

/* ---- The interrupt of the log ---- */

static void send_by_xt_register(uint64_t reg)
{
    X86IOMMUIrq irq = {
        .dest_mode = extract64(reg, 2, 1),
        .vector = extract64(reg, 32, 8),
        .delivery_mode = extract64(reg, 40, 1),
        .dest = extract64(reg, 8, 24) | extract64(reg, 56, 8) << 24,
    };
    MSIMessage msg;

    /* That is how software masks it. */
    if (irq.vector < 16) {
        return;
    }
    x86_iommu_irq_to_msi_message(&irq, &msg);
    apic_get_class(NULL)->send_msi(&msg);
}

/* One interrupt when a bit gets set, none while it stays so. */
static void set_status(AMDVIState *s, uint64_t bit)
{
    uint64_t status = reg_get(s, AMDVI_MMIO_STATUS);
    uint64_t control = reg_get(s, AMDVI_MMIO_CONTROL);

    reg_set(s, AMDVI_MMIO_STATUS, status | bit);
    if ((status & bit) || !(control & CONTROL_LOG_INTR)) {
        return;
    }
    trace_amdvi_vapic_log_interrupt(status | bit);
    if (control & CONTROL_XT_INTR) {
        send_by_xt_register(reg_get(s, REG_XT_LOG));
    } else {
        amdvi_generate_msi_interrupt(s);
    }
}

/* ---- The log ---- */

static void lose(uint16_t devid, uint32_t tag)
{
    avic_count_iommu(AVIC_STAT_IOMMU_GA_LOST);
    trace_amdvi_vapic_log_lost(devid, tag);
}

static void log_guest(AMDVIState *s, uint16_t devid, uint32_t tag)
{
    uint64_t base = reg_get(s, REG_LOG_BASE);
    uint64_t status = reg_get(s, AMDVI_MMIO_STATUS);
    uint32_t head = reg_get(s, REG_LOG_HEAD) & LOG_POINTER_MASK;
    uint32_t tail = reg_get(s, REG_LOG_TAIL) & LOG_POINTER_MASK;
    uint32_t next = (tail + LOG_ENTRY_SIZE) & (LOG_SIZE(base) - 1);
    hwaddr copy = reg_get(s, REG_LOG_TAIL_COPY) & TAIL_COPY_MASK;

    if (!(status & STATUS_LOG_RUN)) {
        lose(devid, tag);
        return;
    }
    if (next == head) {
        reg_set(s, AMDVI_MMIO_STATUS, status & ~STATUS_LOG_RUN);
        lose(devid, tag);
        set_status(s, STATUS_LOG_OVERFLOW);
        return;
    }
    address_space_stq_le(&address_space_memory, (base & ADDRESS_MASK) + tail,
                         LOG_GUEST_NOT_RUNNING | (uint64_t)devid << 32 | tag,
                         MEMTXATTRS_UNSPECIFIED, NULL);
    /* The entry must be there when software sees the tail behind it. */
    smp_wmb();
    reg_set(s, REG_LOG_TAIL, next);
    address_space_stq_le(&address_space_memory, copy, next,
                         MEMTXATTRS_UNSPECIFIED, NULL);
    avic_count_iommu(AVIC_STAT_IOMMU_GA_LOG);
    trace_amdvi_vapic_log(devid, tag, tail);
    set_status(s, STATUS_LOG_INTR);
}

/* ---- Entries of the interrupt remapping table ---- */

/*
 * Software replaces all 16 bytes by one CMPXCHG16B while devices go on, so they must
 * be read at once.
 */
static bool read_irte(hwaddr pa, struct irte_ga *irte)
{
    hwaddr len = sizeof(Int128);
    hwaddr offset;
    MemoryRegion *mr;
    Int128 *host;

    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(&address_space_memory, pa, &offset, &len, true,
                                 MEMTXATTRS_UNSPECIFIED);
    if (!memory_region_is_ram(mr) || mr->readonly || len < sizeof(Int128)) {
        return false;
    }
    host = memory_region_get_ram_ptr(mr) + offset;
    if (HAVE_ATOMIC128_RW) {
        Int128 whole = atomic16_read_rw(host);

        memcpy(irte, &whole, sizeof(*irte));
    } else {
        memcpy(irte, host, sizeof(*irte));
    }
    irte->lo.val = le64_to_cpu(irte->lo.val);
    irte->hi.val = le64_to_cpu(irte->hi.val);
    return true;
}

/* What the cache is indexed by. */
static gpointer irte_key(uint16_t devid, unsigned index)
{
    return GUINT_TO_POINTER(devid << 11 | index);
}

int amdvi_vapic_get_irte(AMDVIState *s, uint16_t devid, hwaddr table,
                         unsigned index, struct irte_ga *irte)
{
    gpointer key = irte_key(devid, index);
    struct irte_ga *cached = g_hash_table_lookup(s->irte_cache, key);

    assert(bql_locked());
    if (cached) {
        *irte = *cached;
        return 0;
    }
    if (!read_irte(table + index * sizeof(*irte), irte)) {
        return -AMDVI_IR_GET_IRTE;
    }
    if (IRTE_VALID(irte->lo.val) &&
        !(reg_get(s, AMDVI_MMIO_CONTROL) & CONTROL_IRT_UNCACHED)) {
        g_hash_table_insert(s->irte_cache, key,
                            g_memdup2(irte, sizeof(*irte)));
    }
    return 0;
}

static gboolean irte_is_of(gpointer key, gpointer irte, gpointer devid)
{
    return GPOINTER_TO_UINT(key) >> 11 == GPOINTER_TO_UINT(devid);
}

void amdvi_vapic_invalidate(AMDVIState *s, uint16_t devid)
{
    if (s->irte_cache) {
        g_hash_table_foreach_remove(s->irte_cache, irte_is_of,
                                    GUINT_TO_POINTER(devid));
    }
}

void amdvi_vapic_invalidate_all(AMDVIState *s)
{
    if (s->irte_cache) {
        g_hash_table_remove_all(s->irte_cache);
    }
}

/* ---- Posting ---- */

static uint32_t destination(AMDVIState *s, const struct irte_ga *irte)
{
    uint32_t id = extract64(irte->lo.val, 8, 24) |
                  extract64(irte->hi.val, 56, 8) << 24;

    return reg_get(s, AMDVI_MMIO_CONTROL) & CONTROL_XT ? id : id & 0xff;
}

int amdvi_vapic_post(AMDVIState *s, uint16_t devid, hwaddr table, unsigned index,
                     const struct irte_ga *irte)
{
    hwaddr page = irte->hi.val & ADDRESS_MASK;
    unsigned vector = IRTE_VECTOR(irte->hi.val);
    struct irte_ga now;

    assert(bql_locked());
    if (!s->guest_vapic || CONTROL_MODE(reg_get(s, AMDVI_MMIO_CONTROL)) != 1) {
        qemu_log_mask(LOG_GUEST_ERROR, "amd-iommu: entry %u of %04x is in guest "
                      "mode, which is off\n", index, devid);
        return -AMDVI_IR_ERR;
    }
    if (!avic_post(page, vector)) {
        qemu_log_mask(LOG_GUEST_ERROR, "amd-iommu: entry %u of %04x names %"
                      HWADDR_PRIx ", which is no memory\n", index, devid, page);
        return -AMDVI_IR_TARGET_ABORT;
    }
    avic_count_iommu(AVIC_STAT_IOMMU_POSTED);

    /*
     * avic_post() has a full barrier between the IRR and what follows: software
     * clears IsRun, then reads the IRR.  If the entry is another one by now, the
     * vCPU's software has not yet invalidated this one, and what it said last holds.
     */
    if (!read_irte(table + index * sizeof(now), &now) || !IRTE_GUEST(now.lo.val)) {
        now = *irte;
    }
    trace_amdvi_vapic_post(devid, vector, page, now.lo.val, destination(s, &now));
    if (IRTE_RUNS(now.lo.val)) {
        avic_ring_by_iommu(destination(s, &now));
    } else if (IRTE_LOG(now.lo.val)) {
        log_guest(s, devid, IRTE_TAG(now.lo.val));
    } else {
        avic_count_iommu(AVIC_STAT_IOMMU_QUIET);
    }
    return AMDVI_IR_POSTED;
}

void amdvi_vapic_remapped(AMDVIState *s)
{
    if (s->guest_vapic) {
        avic_count_iommu(AVIC_STAT_IOMMU_REMAPPED);
    }
}

/* ---- The device ---- */

bool amdvi_vapic_realize(AMDVIState *s, Error **errp)
{
    if (!s->guest_vapic) {
        return true;
    }
    if (!tcg_enabled() || !x86_iommu_ir_supported(X86_IOMMU_DEVICE(s))) {
        error_setg(errp, "guest-vapic=on needs TCG, whose AVIC it posts to, and "
                   "intremap=on");
        return false;
    }
    s->irte_cache = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return true;
}
