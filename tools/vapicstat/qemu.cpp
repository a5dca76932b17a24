// SPDX-License-Identifier: GPL-2.0-only
#include "qemu.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace vapicstat {

namespace {

struct Option {
	std::string key;
	std::string value; // of a feature, "on" or "off"
};

bool starts(const std::string &text, const std::string &with)
{
	return text.compare(0, with.size(), with) == 0;
}

std::string base_name(const std::string &path)
{
	return path.substr(path.rfind('/') + 1);
}

std::string plain(std::string key)
{
	std::replace(key.begin(), key.end(), '_', '-');
	return key;
}

// A comma that is doubled belongs to the value.
Names split(const std::string &list)
{
	Names parts{""};

	for (std::size_t i = 0; i < list.size(); i++) {
		if (list[i] != ',') {
			parts.back() += list[i];
		} else if (i + 1 < list.size() && list[i + 1] == ',') {
			parts.back() += list[i++];
		} else {
			parts.emplace_back();
		}
	}
	return parts;
}

std::string join(const Names &parts)
{
	std::string list;

	for (const std::string &part : parts) {
		if (!list.empty())
			list += ',';
		for (const char c : part)
			list += c == ',' ? ",," : std::string(1, c);
	}
	return list;
}

Option option_of(const std::string &part)
{
	const std::size_t equals = part.find('=');

	if (equals != std::string::npos)
		return {plain(part.substr(0, equals)), part.substr(equals + 1)};
	if (!part.empty() && (part[0] == '+' || part[0] == '-'))
		return {plain(part.substr(1)), part[0] == '+' ? "on" : "off"};
	return {plain(part), "on"};
}

std::string scalar(const nlohmann::json &value)
{
	if (value.is_string())
		return value.get<std::string>();
	if (value.is_boolean())
		return value.get<bool>() ? "on" : "off";
	return value.dump();
}

// An object and its scalars. What is nested is not asked for, and is left out as it is read: its
// author could make it deeper than the stack.
nlohmann::json flat(const std::string &text)
{
	using Json = nlohmann::json;

	return Json::parse(
		text,
		[](int depth, Json::parse_event_t event, Json &) {
			return depth == 0 || (event != Json::parse_event_t::object_start &&
					      event != Json::parse_event_t::array_start);
		},
		false);
}

// The argument of an option. If @first is given, a part without a key is its value.
std::vector<Option> options(const std::string &argument, const std::string &first = "")
{
	std::vector<Option> found;

	if (starts(argument, "{")) {
		const auto json = flat(argument);

		if (json.is_object())
			for (const auto &[key, value] : json.items())
				if (value.is_primitive())
					found.push_back({plain(key), scalar(value)});
		return found;
	}
	for (const std::string &part : split(argument)) {
		const bool leads = found.empty() && part.find('=') == std::string::npos;

		found.push_back(leads && !first.empty() ? Option{first, part} : option_of(part));
	}
	return found;
}

bool is_on(const std::string &value)
{
	return value == "on" || value == "true" || value == "yes" || value == "y";
}

bool is_program(const std::string &name, bool &kvm)
{
	kvm = name == "kvm" || name == "qemu-kvm";
	return kvm || starts(name, "qemu-system-");
}

void read_machine(Qemu &qemu, const std::string &argument)
{
	for (const Option &option : options(argument, "type")) {
		if (option.key == "kernel-irqchip") {
			qemu.irqchip = option.value;
			qemu.accel.clear();
		} else if (option.key == "accel") {
			qemu.kvm = starts(option.value, "kvm");
		} else if (option.key == "pit") {
			// With QEMU's other defaults, auto is on.
			qemu.pit = is_on(option.value) || option.value == "auto";
		}
		// Others of the machine are not asked for.
	}
	// QEMU joins the arguments of several -machine, but for their types.
	qemu.machine += (qemu.machine.empty() ? "" : ",") + argument;
}

void read_global(Qemu &qemu, const std::string &argument)
{
	std::string driver, property, value;

	for (const Option &option : options(argument)) {
		if (option.key == "driver")
			driver = option.value;
		else if (option.key == "property")
			property = plain(option.value);
		else if (option.key == "value")
			value = option.value;
		else if (option.key == "kvm-pit.lost-tick-policy")
			qemu.pit_discards = option.value == "discard";
	}
	if (driver == "kvm-pit" && property == "lost-tick-policy")
		qemu.pit_discards = value == "discard";
}

void read_name(Qemu &qemu, const std::string &argument)
{
	for (const Option &option : options(argument, "guest"))
		if (option.key == "guest")
			qemu.name = option.value;
}

void read_option(Qemu &qemu, const std::string &option, const std::string &argument)
{
	if (option == "name") {
		read_name(qemu, argument);
	} else if (option == "cpu") {
		qemu.cpu = argument;
	} else if (option == "machine" || option == "M") {
		read_machine(qemu, argument);
	} else if (option == "accel") {
		for (const Option &part : options(argument, "accel")) {
			if (part.key == "accel") {
				qemu.kvm |= part.value == "kvm";
			} else if (part.key == "kernel-irqchip") {
				qemu.irqchip = part.value;
				qemu.accel = argument;
			}
		}
	} else if (option == "global") {
		read_global(qemu, argument);
	} else if (option == "overcommit") {
		for (const Option &part : options(argument))
			if (part.key == "cpu-pm")
				qemu.cpu_pm = is_on(part.value);
	} else if (option == "object") {
		for (const Option &part : options(argument, "qom-type"))
			if (part.key == "qom-type")
				qemu.encrypted |= starts(part.value, "sev-");
	} else if (option == "device") {
		for (const Option &part : options(argument, "driver"))
			if (part.key == "driver")
				qemu.vfio |= starts(part.value, "vfio-");
	}
}

} // namespace

Names words_of(const std::string &cmdline)
{
	Names words;

	for (std::size_t at = 0; at < cmdline.size();) {
		const std::size_t end = std::min(cmdline.find('\0', at), cmdline.size());

		words.push_back(cmdline.substr(at, end - at));
		at = end + 1;
	}
	return words;
}

std::optional<Qemu> parse_qemu(const Names &words)
{
	Qemu qemu;

	if (words.empty() || !is_program(base_name(words[0]), qemu.kvm))
		return std::nullopt;
	for (std::size_t i = 1; i < words.size(); i++) {
		const std::string &word = words[i];

		if (word.find("/libvirt/qemu/") != std::string::npos)
			qemu.libvirt = true;
		if (word.size() < 2 || word[0] != '-')
			continue;
		// -option and --option are the same.
		const std::string option = word.substr(word[1] == '-' ? 2 : 1);

		if (option == "enable-kvm")
			qemu.kvm = true;
		else if (i + 1 < words.size())
			read_option(qemu, option, words[i + 1]);
	}
	return qemu;
}

std::string with_option(const std::string &list, const std::string &option)
{
	const Option wanted = option_of(option);
	Names kept;

	for (const std::string &part : split(list))
		if (!part.empty() && option_of(part).key != wanted.key)
			kept.push_back(part);
	kept.push_back(option);
	return join(kept);
}

std::optional<bool> Qemu::feature(const std::string &wanted) const
{
	const Names parts = split(cpu);
	std::optional<bool> value;
	bool forced = false;

	// The last word counts, but +name and -name, an old form, beat the others.
	for (std::size_t i = 1; i < parts.size(); i++) {
		const bool sign = starts(parts[i], "+") || starts(parts[i], "-");

		if (option_of(parts[i]).key != wanted || (forced && !sign))
			continue;
		value = is_on(option_of(parts[i]).value);
		forced = sign;
	}
	return value;
}

bool Qemu::has_all() const
{
	const std::string model = split(cpu)[0];

	return model == "host" || model == "max";
}

} // namespace vapicstat
