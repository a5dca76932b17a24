// SPDX-License-Identifier: GPL-2.0-only
//
// QEMU's command line. It says all that matters here, for VMs of libvirt too, and any user may
// read it: nobody needs libvirt's own files.
#ifndef VAPICSTAT_QEMU_HPP
#define VAPICSTAT_QEMU_HPP

#include "model.hpp"

#include <optional>
#include <string>

namespace vapicstat {

// Words of /proc/PID/cmdline.
Names words_of(const std::string &cmdline);

// Nothing if it is not QEMU.
std::optional<Qemu> parse_qemu(const Names &words);

// A list of options, "a,b=c", with one of them set, and what it said of that before left out.
std::string with_option(const std::string &list, const std::string &option);

} // namespace vapicstat

#endif
