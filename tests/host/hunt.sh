# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sourced by what hunts inside an emulated host.

# A device whose interrupts may be posted: behind the IOMMU if this host has one, else played by a
# module. vapic looks for it when it is loaded.
give_a_device()
{
	if [ -e /sys/kernel/iommu_groups/0 ]; then
		modprobe -a vfio-pci vfio_iommu_type1
	elif [ ! -e /sys/module/kvm_amd ]; then
		# shellcheck disable=SC2154 # the folder of the test that sources this
		insmod "$here/fake_device.ko"
	fi
}

# load_vapic FILE
load_vapic()
{
	if [ -e /sys/module/kvm_amd ]; then
		insmod "$1" avic=1
	else
		insmod "$1" enable_ipiv=1
	fi
}
