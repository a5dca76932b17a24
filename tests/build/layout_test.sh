#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The build must stop, naming it, at a private field that is missing or has another
# type, and where BTF cannot be had.  Runs on the build machine, after make.  Speaks TAP.
#
# usage: layout_test.sh VMLINUX FOLDER-WITH-KVM-MODULES
set -u

top=$(dirname "$0")/../..
vmlinux=$1 modules=$2
# Debian's headers are in two folders; this one has what all flavours share.
source=$(sed -n 's|^include \(.*\)/Makefile$|\1|p' "$(dirname "$vmlinux")/Makefile")
number=0 failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# name, edit of layout.list, wanted status, pattern that the output has
check()
{
	local output status verdict=ok
	number=$((number + 1))
	output=$(sed "$2" "$top/kvm/layout.list" | "$top/kvm/layout-gen" "$vmlinux" "$modules" "$source" 2>&1)
	status=$?
	if [ "$status" != "$3" ] || ! grep -q -e "$4" <<< "$output"; then
		verdict='not ok' failures=$((failures + 1))
		echo "# status $status: ${output:0:300}"
	fi
	echo "$verdict $number $1"
}

# refused NAME PATTERN COMMAND...: it fails, and says so in one line.
refused()
{
	local output status verdict=ok

	number=$((number + 1))
	output=$("${@:3}" 2>&1)
	status=$?
	if [ $status = 0 ] || ! grep -q -e "$2" <<< "$output" || [ "$(wc -l <<< "$output")" != 1 ]; then
		verdict='not ok' failures=$((failures + 1))
		echo "# status $status: ${output:0:300}"
	fi
	echo "$verdict $number $1"
}

# make of what headers of that release, without BTF and of no kernel that runs, are for
make_for()
{
	local folder=$work/$1

	mkdir -p "$folder/include/generated"
	echo "#define UTS_RELEASE \"$1\"" > "$folder/include/generated/utsrelease.h"
	make -C "$top" --no-print-directory module KDIR="$folder" KMODDIR="$modules"
}

# layout-gen with a copy of the modules, one of which went through objcopy
without_btf()
{
	cp "$modules"/kvm*.ko "$work"
	objcopy --remove-section=.BTF "$work/$1"
	"$top/kvm/layout-gen" "$vmlinux" "$work" "$source" < "$top/kvm/layout.list" > "$work/layout.h"
}

echo 'TAP version 13'
check 'takes the list as it is' '' 0 '^struct vcpu_svm {'
check 'names a missing field' 's/bool guest_state_loaded$/bool guest_state_loadex/' 1 'struct vcpu_svm .* guest_state_loadex is missing'
check 'names a field of another type' 's/s16 isr_count/int isr_count/' 1 "field isr_count is 's16', not 'int'"
check 'names a field that was not what is said' 's/cache instead of u64/cache instead of u32/' 1 "avic_physical_id_cache is 'u64 \*', not 'u32 \*'"
check 'names a missing structure' 's/struct kvm_vmcb_info$/struct kvm_vmcb_inf/' 1 'struct kvm_vmcb_inf .* is missing'
check 'lets an optional field be absent' '' 0 'kvm_lapic, regs) == '
check 'marks an optional field that exists' 's/bool guest_state_loaded$/optional &/' 0 'VAPIC_HAS_vcpu_svm__guest_state_loaded 1'
check 'marks an optional field that is missing' '' 0 'VAPIC_HAS_kvm_lapic__guest_apic_protected 0'
check 'takes a field from another place' 's/s16 isr_count/s16 isr_count_ or isr_count/' 0 'VAPIC_HAS_kvm_lapic__isr_count_ 0'
check 'finds a field of a structure inside' 's/bool guest_gif/bool guest_gif_ or sev_es.received_first_sipi/' 0 'VAPIC_HAS_vcpu_svm__sev_es__received_first_sipi 1'
check 'names a field that is in none of its places' 's/s16 isr_count/s16 isr_count_ or isr_counts/' 1 'field isr_count_ and isr_counts is missing'
check 'lets an optional structure be absent' 's/kvm struct kvm_pic$/kvm optional struct kvm_picture/' 0 'VAPIC_HAS_kvm_picture 0'
check 'takes the values of an enum' '' 0 'static_assert(APICV_INHIBIT_REASON_NESTED == 7);'
check 'defines an enum that the header does not have' 's/_inhibit of .*/_inhibit of linux\/kvm_types.h/' 0 '^	APICV_INHIBIT_REASON_NESTED = 7,'
check 'names an enumerator that is missing' 's/REASON_NESTED/REASON_NETTED/' 1 'enum kvm_apicv_inhibit of kvm: APICV_INHIBIT_REASON_NETTED is missing'
check 'names a header that is missing' 's/_inhibit of .*/_inhibit of linux\/kvn.h/' 1 'no header linux/kvn.h'
check 'names an unknown module' 's/^kvm struct/kvn struct/' 1 "unknown module 'kvn'"
check 'names a line that says nothing' 's/^	bool irr_pending/bool irr_pending/' 1 'layout.list:[0-9]*: neither a structure nor a field'
refused 'takes no other kernel'"'"'s BTF' 'no BTF of 6.12.0-other' make_for 6.12.0-other
refused 'takes no kernel of a series that nobody knows' \
	'vapic does not support kernel 6.99.0-other: it does those of series 6' make_for 6.99.0-other
refused 'names a module without BTF' 'layout-gen: error: no BTF in .*/kvm-amd.ko' \
	without_btf kvm-amd.ko
refused 'names a kernel without BTF' 'layout-gen: error: no BTF in .*/kvm-amd.ko' \
	"$top/kvm/layout-gen" "$work/kvm-amd.ko" "$modules" "$source"
echo "1..$number"
exit "$failures"
