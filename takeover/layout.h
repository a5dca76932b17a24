/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access to fields of private KVM structures, named in takeover/layout.list.
 *
 *   vapic_field(svm, vcpu_svm, vmcb, struct vmcb *)
 *       an lvalue; the pointer must be a struct vcpu_svm *, and the type must
 *       have the size that BTF gives the field
 *   vapic_member(svm, vcpu_svm, vmcb01, struct kvm_vmcb_info)
 *       a pointer to a member which is itself a private structure
 *
 * Offsets come from BTF at build time, never from a copied definition.
 */
#ifndef VAPIC_TAKEOVER_LAYOUT_H
#define VAPIC_TAKEOVER_LAYOUT_H

#include <linux/build_bug.h>

#include "generated/layout.h"

struct vcpu_svm;
struct kvm_svm;
struct kvm_vmcb_info;
struct kvm_lapic;

#define VAPIC_OFF(structure, field) VAPIC_OFF_##structure##__##field
#define VAPIC_SIZE(structure, field) VAPIC_SIZE_##structure##__##field

#define vapic_member(pointer, structure, field, type)                                              \
	({                                                                                         \
		struct structure *__container = (pointer);                                         \
                                                                                                   \
		(type *)((char *)__container + VAPIC_OFF(structure, field));                       \
	})

#define vapic_field(pointer, structure, field, type)                                               \
	(*({                                                                                       \
		static_assert(sizeof(type) == VAPIC_SIZE(structure, field));                       \
		vapic_member(pointer, structure, field, type);                                     \
	}))

/* The inverse of vapic_member(): from a member to the structure around it. */
#define vapic_container(member, structure, field)                                                  \
	({                                                                                         \
		char *__member = (char *)(member);                                                 \
                                                                                                   \
		(struct structure *)(__member - VAPIC_OFF(structure, field));                      \
	})

#endif
