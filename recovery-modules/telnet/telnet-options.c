/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telnet-options.h"

static void count(uint8_t *n)
{
	if (*n < UINT8_MAX)
		(*n)++;
}

void telnet_option_server(struct telnet_option *o, bool on)
{
	static const uint8_t after[2][TELNET_AGREED_COUNT_] = {
		{
			[TELNET_NO] = TELNET_NO,
			[TELNET_YES] = TELNET_STOPPED,
			[TELNET_REFUSED] = TELNET_REFUSED,
			[TELNET_ASKED] = TELNET_RECANTED,
			[TELNET_OFFERED] = TELNET_NO,
			[TELNET_STOPPED] = TELNET_STOPPED,
			[TELNET_QUIT] = TELNET_NO,
			[TELNET_RECANTED] = TELNET_RECANTED,
			[TELNET_RESTARTED] = TELNET_STOPPED,
		},
		{
			[TELNET_NO] = TELNET_ASKED,
			[TELNET_YES] = TELNET_YES,
			[TELNET_REFUSED] = TELNET_ASKED,
			[TELNET_ASKED] = TELNET_ASKED,
			[TELNET_OFFERED] = TELNET_YES,
			[TELNET_STOPPED] = TELNET_RESTARTED,
			[TELNET_QUIT] = TELNET_ASKED,
			[TELNET_RECANTED] = TELNET_ASKED,
			[TELNET_RESTARTED] = TELNET_RESTARTED,
		},
	};
	uint8_t was = o->agreed;

	o->agreed = after[on][was];
	if (telnet_option_answers(was, on))
		return;
	if (o->agreed == was)
		count(&o->idle_n);
	else
		count(on ? &o->on_n : &o->off_n);
}

static void answered(struct telnet_option *o, bool on)
{
	if (o->answered_n < TELNET_HISTORY && on)
		o->accepted |= (uint8_t)(1u << o->answered_n);
	count(&o->answered_n);
}

void telnet_option_client(struct telnet_option *o, bool on)
{
	static const uint8_t after[2][TELNET_AGREED_COUNT_] = {
		{
			[TELNET_NO] = TELNET_REFUSED,
			[TELNET_YES] = TELNET_QUIT,
			[TELNET_REFUSED] = TELNET_REFUSED,
			[TELNET_ASKED] = TELNET_REFUSED,
			[TELNET_OFFERED] = TELNET_NO,
			[TELNET_STOPPED] = TELNET_NO,
			[TELNET_QUIT] = TELNET_QUIT,
			[TELNET_RECANTED] = TELNET_NO,
			[TELNET_RESTARTED] = TELNET_ASKED,
		},
		{
			[TELNET_NO] = TELNET_OFFERED,
			[TELNET_YES] = TELNET_YES,
			[TELNET_REFUSED] = TELNET_OFFERED,
			[TELNET_ASKED] = TELNET_YES,
			[TELNET_OFFERED] = TELNET_OFFERED,
			[TELNET_STOPPED] = TELNET_STOPPED,
			[TELNET_QUIT] = TELNET_OFFERED,
			[TELNET_RECANTED] = TELNET_STOPPED,
			[TELNET_RESTARTED] = TELNET_RESTARTED,
		},
	};
	uint8_t was = o->agreed;

	o->agreed = after[on][was];
	if (was == TELNET_ASKED || was == TELNET_RECANTED)
		answered(o, on);
	o->began |= o->agreed == TELNET_OFFERED && o->on_n == 0 && o->off_n == 0 && o->idle_n == 0;
	if (on)
		o->ended = false;
	else
		o->ended |= was == TELNET_YES || was == TELNET_OFFERED;
	o->wanted = on && (o->wanted || o->agreed == TELNET_OFFERED);
}
