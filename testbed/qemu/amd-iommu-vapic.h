/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest virtual APIC mode of the emulated AMD IOMMU: what the hooks in
 * hw/i386/amd_iommu.c see of it.  All is called with the BQL held.
 */
#ifndef I386_TCG_AMD_IOMMU_VAPIC_H
#define I386_TCG_AMD_IOMMU_VAPIC_H

#include "hw/i386/amd_iommu.h"

/* GAMSup of the Extended Feature Register: guest virtual APIC mode. */
#define AMDVI_FEATURE_GAM   (1ULL << 21)

/* Answer of amdvi_vapic_post(), beside AMDVI_IR_ERR and its like: no MSI follows. */
#define AMDVI_IR_POSTED     1

/* If the device has guest-vapic=on; false if this machine cannot have it. */
bool amdvi_vapic_realize(AMDVIState *s, Error **errp);

/* A write to the registers that amd_iommu.c knows nothing of. */
void amdvi_vapic_mmio_write(AMDVIState *s, hwaddr addr, uint64_t val,
                            unsigned size);

/* The control register has changed. */
void amdvi_vapic_control(AMDVIState *s);

/*
 * Read entry @index of the interrupt table at @table, which is @devid's.  As in
 * hardware it may be an old one, until amdvi_vapic_invalidate().
 */
int amdvi_vapic_get_irte(AMDVIState *s, uint16_t devid, hwaddr table,
                         unsigned index, struct irte_ga *irte);

/* Forget the entries of @devid, or all; at reset, too. */
void amdvi_vapic_invalidate(AMDVIState *s, uint16_t devid);
void amdvi_vapic_invalidate_all(AMDVIState *s);

/*
 * Post by @irte, which amdvi_vapic_get_irte() read and which has GuestMode set.
 * AMDVI_IR_POSTED or a negative error.
 */
int amdvi_vapic_post(AMDVIState *s, uint16_t devid, hwaddr table, unsigned index,
                     const struct irte_ga *irte);

/* An interrupt was remapped with an entry that is not in guest mode. */
void amdvi_vapic_remapped(AMDVIState *s);

#endif
