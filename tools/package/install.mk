# SPDX-License-Identifier: GPL-2.0-only
#
# What is installed, and where. Included by Makefile; a package of a distribution uses the parts.
#
#   DESTDIR=          stands before every path
#   prefix=           /usr/local, or /usr in a package
#   INSTALL_MOD_PATH= as the kernel has it: stands before /lib/modules (default: DESTDIR)
#   INSTALL_MOD_DIR=  and the folder of a kernel's modules (default: updates)

prefix ?= /usr/local
INSTALL_MOD_PATH ?= $(DESTDIR)
INSTALL_MOD_DIR ?= updates

version := $(shell sed -n 's/^.define VAPIC_VERSION "\(.*\)"/\1/p' takeover/version.h)
# Of Linux, that vapic is for
series := $(SERIES)
empty :=
bar = $(subst $(empty) $(empty),|,$(strip $(1)))
boot-folder := $(prefix)/lib/vapic
source-folder := /usr/src/vapic-$(version)
in-prefix = sed 's,/usr/lib/vapic,$(boot-folder),g'

install: modules_install install-boot install-tools

# The kernel's own target strips, signs and compresses, as that kernel is set up.
modules_install:
	@[ -e vapic.ko ] || { echo 'there is no vapic.ko: run make first' >&2; exit 1; }
	@[ -z "$$(modinfo -F mutant ./vapic.ko)" ] || { \
		echo 'vapic.ko is a mutant, which loses interrupts on purpose' >&2; exit 1; }
	@built=$$(modinfo -F vermagic ./vapic.ko | cut -d ' ' -f 1); [ "$$built" = '$(KVER)' ] || { \
		echo "vapic.ko is for $$built, not $(KVER): run make KDIR=$(KDIR)" >&2; exit 1; }
	$(MAKE) -C $(KDIR) --no-print-directory M=$(CURDIR) INSTALL_MOD_PATH=$(INSTALL_MOD_PATH) \
		INSTALL_MOD_DIR=$(INSTALL_MOD_DIR) INSTALL_MOD_STRIP=--strip-debug modules_install
	@if [ -e $(INSTALL_MOD_PATH)/lib/modules/$(KVER)/modules.order ]; then \
		depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(KVER); fi

# To load it at boot
install-boot:
	install -d $(DESTDIR)$(boot-folder) $(DESTDIR)/etc $(DESTDIR)$(prefix)/lib/systemd/system \
		$(DESTDIR)$(prefix)/share/man/man5
	install -m 755 tools/package/load $(DESTDIR)$(boot-folder)/load
	$(in-prefix) tools/package/vapic.service \
		> $(DESTDIR)$(prefix)/lib/systemd/system/vapic.service
	@if [ -e $(DESTDIR)/etc/vapic.conf ]; then \
		echo 'kept as it is: $(DESTDIR)/etc/vapic.conf'; \
	else \
		install -m 644 tools/package/vapic.conf $(DESTDIR)/etc/vapic.conf; fi
	install -m 644 tools/package/vapic.conf.5 $(DESTDIR)$(prefix)/share/man/man5

# Programs for users. They read the lists of the source beside them.
audit-folder := $(prefix)/share/vapic
install-tools:
	install -d $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/share/man/man1
	tools/package/copy audit $(DESTDIR)$(audit-folder)
	ln -sf ../share/vapic/tools/audit $(DESTDIR)$(prefix)/bin/vapic-audit
	install -m 644 tools/package/vapic-audit.1 $(DESTDIR)$(prefix)/share/man/man1
	+$(MAKE) -C tools/vapicstat --no-print-directory O=$(CURDIR)/$(BUILD)/vapicstat
	install -d $(DESTDIR)$(prefix)/share/bash-completion/completions
	install -m 755 $(BUILD)/vapicstat/vapicstat $(DESTDIR)$(prefix)/bin
	install -m 644 tools/vapicstat/vapicstat.1 $(DESTDIR)$(prefix)/share/man/man1
	install -m 644 tools/vapicstat/vapicstat.bash \
		$(DESTDIR)$(prefix)/share/bash-completion/completions/vapicstat

# The source, for DKMS, and what has DKMS build it
install-dkms:
	tools/package/copy module $(DESTDIR)$(source-folder)
	sed 's/#VERSION#/$(version)/; s/#SERIES#/$(call bar,$(subst .,[.],$(series)))/' \
		tools/package/dkms.conf > $(DESTDIR)$(source-folder)/dkms.conf
	install -d $(DESTDIR)$(boot-folder)
	install -m 755 tools/package/kernel $(DESTDIR)$(boot-folder)/kernel
	echo $(version) > $(DESTDIR)$(boot-folder)/version
	printf '%s\n' $(series) > $(DESTDIR)$(boot-folder)/series
	for folder in postinst.d header_postinst.d postrm.d; do \
		install -d $(DESTDIR)/etc/kernel/$$folder && \
		$(in-prefix) tools/package/kernel-hook > $(DESTDIR)/etc/kernel/$$folder/vapic-dkms && \
		chmod 755 $(DESTDIR)/etc/kernel/$$folder/vapic-dkms || exit 1; done

# KSRC as in selftests/Makefile
selftests-folder := $(prefix)/lib/vapic/selftests
install-selftests:
	$(MAKE) -C selftests install $(if $(KSRC),KSRC=$(KSRC)) O=$(CURDIR)/$(BUILD)/selftests \
		INSTALL_PATH=$(abspath $(DESTDIR)$(selftests-folder))

deb:
	@tools/package/deb

.PHONY: install modules_install install-boot install-tools install-dkms install-selftests deb
