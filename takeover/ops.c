// SPDX-License-Identifier: GPL-2.0-only
/*
 * Members of kvm_x86_ops: find, swap, restore.
 */
#include "ops.h"

#include <asm/text-patching.h>

#include "code.h"
#include "../kvm/log.h"
#include "../kvm/symbols.h"

static void **pointer_of(const struct vapic_op *op)
{
	return (void **)((char *)&vapic_data(kvm_x86_ops) + op->offset);
}

int vapic_op_find(struct vapic_op *op)
{
	char name[KSYM_NAME_LEN];

	snprintf(name, sizeof(name), STATIC_CALL_KEY_PREFIX_STR "kvm_x86_%s", op->name);
	op->key = (struct static_call_key *)vapic_symbols_find("kvm", name);
	snprintf(name, sizeof(name), STATIC_CALL_TRAMP_PREFIX_STR "kvm_x86_%s", op->name);
	op->tramp = (void *)vapic_symbols_find("kvm", name);

	if (!op->key || !op->tramp) {
		vapic_err("static call of op %s is missing in kvm: this kernel is not one vapic "
			  "knows\n",
			  op->name);
		return -ENOENT;
	}
	return 0;
}

void vapic_op_swap(struct vapic_op *op)
{
	void *stock;

	op->stock_pointer = *pointer_of(op);
	op->stock_func = op->key->func;

	/* An op that stock leaves out must still give a caller of vapic_<vendor>_stock() a result. */
	stock = op->stock_func ?: __static_call_return0;
	__static_call_update(op->stock_key, op->stock_tramp, stock);

	WRITE_ONCE(*pointer_of(op), op->replacement);
	__static_call_update(op->key, op->tramp, op->replacement);
	op->swapped = true;
}

void vapic_op_restore(struct vapic_op *op)
{
	if (!op->swapped)
		return;

	__static_call_update(op->key, op->tramp, op->stock_func);
	WRITE_ONCE(*pointer_of(op), op->stock_pointer);
	op->swapped = false;
}

bool vapic_op_in_place(const struct vapic_op *op)
{
	return op->swapped && READ_ONCE(*pointer_of(op)) == op->replacement &&
	       READ_ONCE(op->key->func) == op->replacement &&
	       vapic_code_target((unsigned long)op->tramp, JMP32_INSN_OPCODE) ==
		       (unsigned long)op->replacement;
}

int vapic_op_verify(const struct vapic_op *op)
{
	if (vapic_op_in_place(op))
		return 0;

	vapic_err("somebody else changed op %s of KVM while vapic loaded\n", op->name);
	return -EIO;
}
