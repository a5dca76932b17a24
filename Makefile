# SPDX-License-Identifier: GPL-2.0-only
#
# For people.  `make help` lists the targets; what the module is made of is in Kbuild.
#
#   KERNEL=   name of a kernel in testbed/kernels, to build for and to test with
#   KDIR=     or headers of the kernel to build for (default: the running kernel if of
#             a supported series, else the first of testbed/kernels)
#   UNTESTED=1  also for a kernel on which vapic was never tested
#   KMODDIR=  folder with that kernel's kvm.ko, kvm-amd.ko and kvm-intel.ko, .xz allowed

# Of testbed/kernels: names and series that vapic supports, or does not (yet). A copy of the
# sources without it builds for any.
of-kernels = $(shell [ ! -e testbed/kernels ] || awk '!/^\#/ && $$5 == "$(1)" { print $$1 }' testbed/kernels)
series-of = $(sort $(foreach name,$(1),$(firstword $(subst -, ,$(name)))))
NAMES := $(call of-kernels,yes)
UNSUPPORTED := $(call of-kernels,no)
SERIES := $(call series-of,$(NAMES))
BUILD := build
# Of tools/package/install.mk
NO_KERNEL := deb install-boot install-tools install-dkms install-selftests

ifneq ($(KERNEL),)
export VAPIC_KERNEL := $(KERNEL)
endif

# Targets that compile the module; to fetch a kernel is left to these.
ifneq ($(filter-out clean help format check model fuzz coverage demo bench latency soak mutants takeovers kunit $(NO_KERNEL),$(or \
	$(MAKECMDGOALS),all)),)
ifneq ($(if $(UNTESTED),,$(filter $(VAPIC_KERNEL),$(UNSUPPORTED))),)
$(error vapic does not support kernel $(VAPIC_KERNEL) yet: it does $(NAMES))
endif

ifeq ($(KDIR)$(VAPIC_KERNEL),)
running := $(shell uname -r)
ifneq ($(filter $(SERIES:=.%),$(running)),)
KDIR := $(patsubst %/Makefile,%,$(wildcard /lib/modules/$(running)/build/Makefile))
endif
endif

ifeq ($(KDIR),)
headers := $(shell testbed/kernel-headers $(VAPIC_KERNEL))
header = $(patsubst $(1)=%,%,$(filter $(1)=%,$(headers)))
KDIR := $(call header,KDIR)
KMODDIR ?= $(call header,KMODDIR)
VMLINUX ?= $(call header,VMLINUX)
KPATH ?= $(filter-out '',$(call header,KPATH))
ifeq ($(KDIR),)
$(error no headers of a kernel: install linux-headers, or say KDIR=)
endif
endif

release-file := $(KDIR)/include/generated/utsrelease.h
ifeq ($(wildcard $(release-file)),)
$(error $(KDIR) holds no kernel headers: KDIR= wants what linux-headers installs)
endif

KVER := $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' $(release-file))
ifeq ($(if $(UNTESTED),all,$(if $(SERIES),$(filter $(SERIES:=.%),$(KVER)),all)),)
$(error vapic does not support kernel $(KVER): it does those of series $(SERIES))
endif

# The kernel's own compiler and binutils, if they are not those of this machine.
ifneq ($(KPATH),)
export PATH := $(KPATH):$(PATH)
endif
endif

KMODDIR ?= /lib/modules/$(KVER)/kernel/arch/x86/kvm

# BTF of the kernel built for: the headers', the running kernel's if it is that one, or what the
# kernel that boots has, where the headers have none.
running-btf = $(if $(filter $(shell uname -r),$(KVER)),/sys/kernel/btf/vmlinux)
image := $(firstword $(wildcard /boot/vmlinuz-$(KVER) $(KMODDIR:/kernel/arch/x86/kvm=)/vmlinuz))
unpacked := $(CURDIR)/$(BUILD)/vmlinux-$(KVER)
VMLINUX ?= $(firstword $(wildcard $(KDIR)/vmlinux $(running-btf)) $(if $(image),$(unpacked)))
btf = $(or $(filter $(unpacked),$(VMLINUX)),$(wildcard $(VMLINUX)),\
	$(error no BTF of $(KVER): $(KDIR)/vmlinux and /boot/vmlinuz-$(KVER) are missing, and that \
	kernel does not run; say VMLINUX=))

all: module

module: $(addprefix $(BUILD)/kvm/,kvm.ko kvm-amd.ko kvm-intel.ko) $(filter $(unpacked),$(VMLINUX))
	@[ -x /usr/bin/python3 ] || { echo 'no /usr/bin/python3: apt install python3-pyelftools' >&2; exit 1; }
	+@tools/build-module $(KDIR) $(CURDIR) VMLINUX=$(btf) KMODDIR=$(CURDIR)/$(BUILD)/kvm \
		$(if $(UNTESTED),UNTESTED=1)
	@tools/linked vapic.ko vapic.o
	@cat takeover/generated/audit.txt >&2

# The KVM modules as the build wants them: plain, whatever the distribution ships.
$(BUILD)/kvm/%.ko: FORCE
	@mkdir -p $(@D)
	@tools/plain-module $(KMODDIR)/$*.ko $@

# Packages date an image back, so its time says nothing.
$(unpacked): FORCE
	@mkdir -p $(@D)
	@tools/boot-image $(image) >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

clean:
	@tools/clean

check demo bench latency takeovers kunit:
	+@tools/$@

model:
	@tests/model/check

# Seconds for each fuzzer
SECONDS := 60
fuzz:
	@tests/fuzz/fuzz run $(SECONDS)

coverage:
	+@$(MAKE) -s -C tests/core coverage O=$(CURDIR)/$(BUILD)/core-address

# Where HOURS is not given, an hour.
soak:
	+@tools/hunt soak $(if $(HOURS),--hours $(HOURS))

mutants:
	+@tools/hunt mutants

format:
	@tools/format

include tools/package/install.mk

help:
	@echo '  make          build vapic.ko'
	@echo '  make check    all tests, in emulated machines where they need one'
	@echo '  make model    models of what order no interrupt is lost in; needs spin and tcc'
	@echo '  make fuzz     fuzz core on this machine, SECONDS=60 for each target'
	@echo '  make coverage lines and branches of core that its tests execute'
	@echo '  make kunit    the KUnit suites of kunit/, in a kernel of their own'
	@echo '  make demo     build everything, boot emulated machines, measure, report'
	@echo '  make bench    instructions and modelled cycles beside stock KVM'
	@echo '  make latency  cyclictest in host and guest, stock KVM and vapic'
	@echo '  make soak HOURS=n  hunts for an interrupt that is lost, and goes on next time'
	@echo '  make mutants  which mutants of tests/mutations the hunter catches'
	@echo '  make takeovers  what is taken over, how, how often and why'
	@echo '  make deb      Debian packages, in build/deb'
	@echo '  make install  what runs here: vapic.ko, loading it at boot, vapic-audit, vapicstat; see install.mk'
	@echo '  make format   rewrite C and C++ with clang-format'
	@echo '  make clean    remove all that was made: build/, and what building the module left'
	@echo
	@sed -n '5,9s/^#//p' Makefile

FORCE:

.PHONY: all module clean check model fuzz coverage demo bench latency soak mutants takeovers kunit format help FORCE
