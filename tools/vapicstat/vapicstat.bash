# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Completion of vapicstat for bash.

_vapicstat()
{
	local words='explain --once --watch --json --prometheus --interval --count --vcpus --help --version'
	local name

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-i | --interval | -n | --count)
		return
		;;
	-p | --prometheus)
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		return
		;;
	explain)
		words=--all
		# Not by compgen, which would run what stands in a name.
		while read -r name; do
			[[ $name != "$2"* ]] || COMPREPLY+=("$(printf %q "$name")")
		done < <(vapicstat --names 2>/dev/null)
		;;
	esac
	mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "$words" -- "$2")
}

complete -F _vapicstat vapicstat
