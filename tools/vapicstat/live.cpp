// SPDX-License-Identifier: GPL-2.0-only
#include "live.hpp"

#include "gather.hpp"
#include "print.hpp"

// Its macros have names such as move and timeout.
#define NCURSES_NOMACROS
#include <curses.h>

#include <algorithm>
#include <sstream>

namespace vapicstat {

namespace {

struct View {
	bool vcpus = false;
	bool why = false; // what explain says, in place of the table
	std::size_t first = 0;
};

Names lines_of(const std::string &text)
{
	std::istringstream in(text);
	Names lines;

	for (std::string line; std::getline(in, line);)
		lines.push_back(line);
	return lines;
}

Names body_of(const Snapshot &now, const Snapshot &earlier, const View &view)
{
	std::string text;

	if (!view.why)
		return table(now, &earlier, view.vcpus);
	text = explanation(now.host);
	for (const Vm &vm : now.vms)
		text += "\n" + explanation(now.host, vm);
	return lines_of(text);
}

void put_line(int row, const std::string &line, attr_t attributes = A_NORMAL)
{
	attrset(static_cast<int>(attributes));
	mvaddnstr(row, 0, line.c_str(), COLS);
	clrtoeol();
}

void draw(const Snapshot &now, const Snapshot &earlier, View &view)
{
	const Names body = body_of(now, earlier, view);
	// The heading of the table stays.
	const std::size_t fixed = view.why ? 0 : 1;
	const auto room = static_cast<std::size_t>(
		std::max(1, LINES - 2 - static_cast<int>(fixed + now.notes.size())));
	int row = 0;

	view.first = std::min(view.first, body.size() - std::min(body.size(), fixed + room));
	erase();
	put_line(row++, describe(now.host), A_BOLD);
	if (fixed)
		put_line(row++, body[0], A_REVERSE);
	for (std::size_t i = 0; i < room && fixed + view.first + i < body.size(); i++)
		put_line(row++, body[fixed + view.first + i]);
	row = LINES - 1 - static_cast<int>(now.notes.size());
	for (const std::string &note : now.notes)
		put_line(row++, "note: " + note);
	put_line(row, "q quit  v vCPUs  e explain  arrows scroll", A_DIM);
	refresh();
}

// False: enough.
bool obey(int key, View &view)
{
	switch (key) {
	case 'q':
		return false;
	case 'v':
		view.vcpus = !view.vcpus;
		break;
	case 'e':
		view.why = !view.why;
		view.first = 0;
		break;
	case KEY_DOWN:
		view.first++;
		break;
	case KEY_UP:
		view.first -= view.first > 0;
		break;
	case KEY_NPAGE:
		view.first += 10;
		break;
	case KEY_PPAGE:
		view.first -= std::min<std::size_t>(view.first, 10);
		break;
	default:
		break;
	}
	return true;
}

} // namespace

bool live(const System &system, double interval, bool with_vcpus)
{
	SCREEN *screen = newterm(nullptr, stdout, stdin);
	Snapshot earlier = gather(system), now = earlier;
	View view{.vcpus = with_vcpus};
	int key = ERR;

	if (!screen)
		return false;
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	do {
		const double left = now.seconds + interval - seconds_now();

		draw(now, earlier, view);
		timeout(std::max(0, static_cast<int>(left * 1000)));
		key = getch();
		if (key == ERR) {
			earlier = std::move(now);
			now = gather(system);
		}
	} while (obey(key, view));
	endwin();
	delscreen(screen);
	return true;
}

} // namespace vapicstat
