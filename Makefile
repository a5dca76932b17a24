# SPDX-License-Identifier: GPL-2.0-only
#
# For people.  `make help` lists the targets; what the module is made of is in Kbuild.
#
#   KDIR=     headers of the kernel to build for (default: the running kernel if
#             supported, else the one testbed/kernel-headers provides)
#   KMODDIR=  folder with that kernel's kvm.ko, kvm-amd.ko and kvm-intel.ko, .xz allowed

SUPPORTED := $(shell sed /^\#/d testbed/kernel-series)
BUILD := build

ifndef KDIR
running := $(shell uname -r)
ifneq ($(filter $(SUPPORTED).%,$(running)),)
ifneq ($(wildcard /lib/modules/$(running)/build/Makefile),)
KDIR := /lib/modules/$(running)/build
endif
endif
endif

# Fetching a kernel is left to the targets that compile.
ifndef KDIR
ifneq ($(filter-out clean help format check demo bench takeovers,$(or $(MAKECMDGOALS),all)),)
headers := $(shell testbed/kernel-headers $(SUPPORTED))
KDIR := $(patsubst KDIR=%,%,$(filter KDIR=%,$(headers)))
KMODDIR ?= $(patsubst KMODDIR=%,%,$(filter KMODDIR=%,$(headers)))
ifeq ($(KDIR),)
$(error no headers of a $(SUPPORTED) kernel: install linux-headers, or say KDIR=)
endif
endif
endif

ifneq ($(KDIR),)
ifeq ($(wildcard $(KDIR)/include/config/kernel.release),)
$(error $(KDIR) holds no kernel headers: KDIR= wants what linux-headers installs)
endif
endif

KVER = $(shell cat $(KDIR)/include/config/kernel.release)
KMODDIR ?= /lib/modules/$(KVER)/kernel/arch/x86/kvm

# BTF of the kernel built for: the headers', or the running kernel's if it is that one.
running-btf = $(if $(filter $(shell uname -r),$(KVER)),/sys/kernel/btf/vmlinux)
VMLINUX ?= $(firstword $(wildcard $(KDIR)/vmlinux $(running-btf)))
btf = $(or $(wildcard $(VMLINUX)),$(error no BTF of $(KVER): $(KDIR)/vmlinux is missing, and that \
	kernel does not run; say VMLINUX=))

all: module

module: $(addprefix $(BUILD)/kvm/,kvm.ko kvm-amd.ko kvm-intel.ko)
	@[ -x /usr/bin/python3 ] || { echo 'no /usr/bin/python3: apt install python3-pyelftools' >&2; exit 1; }
	+@tools/build-module $(KDIR) $(CURDIR) VMLINUX=$(btf) KMODDIR=$(CURDIR)/$(BUILD)/kvm
	@tools/linked vapic.ko vapic.o
	@cat takeover/generated/audit.txt >&2

# The KVM modules as the build wants them: plain, whatever the distribution ships.
$(BUILD)/kvm/%.ko: FORCE
	@mkdir -p $(@D)
	@tools/plain-module $(KMODDIR)/$*.ko $@

clean:
	@tools/clean

check demo bench takeovers:
	+@tools/$@

format:
	@tools/format

help:
	@echo '  make          build vapic.ko'
	@echo '  make check    all tests, in emulated machines where they need one'
	@echo '  make demo     build everything, boot emulated machines, measure, report'
	@echo '  make bench    instructions and modelled cycles beside stock KVM'
	@echo '  make takeovers  what is taken over, how, how often and why'
	@echo '  make format   rewrite C and C++ with clang-format'
	@echo '  make clean    remove all that was made: build/, and what building the module left'
	@echo
	@sed -n '5,7s/^#//p' Makefile

FORCE:

.PHONY: all module clean check demo bench takeovers format help FORCE
