#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The build must stop, naming it, at a private field that is missing or has another
# size, and where BTF cannot be had.  Runs on the build machine, after make.  Speaks TAP.
#
# usage: layout_test.sh VMLINUX FOLDER-WITH-KVM-MODULES
set -u

here=$(dirname "$0")/..
vmlinux=$1 modules=$2
number=0 failures=0

# name, edit of layout.list, wanted status, pattern that the output has
check()
{
	local output status verdict=ok
	number=$((number + 1))
	output=$(sed "$2" "$here/layout.list" | "$here/layout-gen" "$vmlinux" "$modules" 2>&1)
	status=$?
	if [ "$status" != "$3" ] || ! grep -q -e "$4" <<< "$output"; then
		verdict='not ok' failures=$((failures + 1))
		echo "# status $status: ${output:0:300}"
	fi
	echo "$verdict $number $1"
}

# A pahole that fails once it has said everything.
broken_pahole()
{
	local folder status

	folder=$(mktemp -d)
	printf '#!/bin/sh\n%s "$@"\nexit 3\n' "$(command -v pahole)" > "$folder/pahole"
	chmod +x "$folder/pahole"
	PATH=$folder:$PATH check 'notices that pahole failed' '' 1 'error: pahole .*exited with 3'
	rm -r "$folder"
}

# Headers without BTF, of a kernel that this machine does not run.
foreign_kernel()
{
	local folder output status verdict=ok

	number=$((number + 1))
	folder=$(mktemp -d)
	mkdir -p "$folder/include/config"
	echo 6.12.0-other > "$folder/include/config/kernel.release"
	output=$(make -C "$here/.." --no-print-directory module KDIR="$folder" KMODDIR="$modules" 2>&1)
	status=$?
	if [ $status != 2 ] || ! grep -q 'no BTF of 6.12.0-other' <<< "$output"; then
		verdict='not ok' failures=$((failures + 1))
		echo "# status $status: ${output:0:300}"
	fi
	echo "$verdict $number takes no other kernel's BTF"
	rm -r "$folder"
}

echo 'TAP version 13'
check 'takes the list as it is' '' 0 'VAPIC_OFF_vcpu_svm__vmcb '
check 'names a missing field' 's/ avic_physical_id_cache / avic_physical_id_cachx /' 1 'struct vcpu_svm .* avic_physical_id_cachx is missing'
check 'names a resized field' 's/\( irr_pending *\)1/\14/' 1 'irr_pending has 1 bytes, not 4'
check 'names a missing structure' 's/ kvm_vmcb_info / kvm_vmcb_inf /' 1 'struct kvm_vmcb_inf .* is missing'
check 'lets an optional field be absent' '' 0 'VAPIC_OFF_kvm_lapic__regs '
check 'marks an optional field that exists' 's/guest_apic_protected/lvt0_in_nmi_mode/' 0 'VAPIC_HAS_kvm_lapic__lvt0_in_nmi_mode 1'
check 'names an unknown module' 's/^kvm /kvn /' 1 "unknown module 'kvn'"
broken_pahole
foreign_kernel
echo "1..$number"
exit "$failures"
