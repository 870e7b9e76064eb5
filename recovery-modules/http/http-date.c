/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-date.h"

#include <stdio.h>
#include <string.h>

static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* day 0 was a Thursday */
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/*
 * Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that
 * the leap day is the last day of a year.
 */
static int64_t days_from_date(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool digits(const uint8_t *p, int n, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + (p[i] - '0');
	}
	*ret = v;
	return true;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int year = (int)(1970 + days / 366); /* never too late, and at most a few years too early */
	int month = 1;

	while (days_from_date(year + 1, 1, 1) <= days)
		year++;
	while (month < 12 && days_from_date(year, month + 1, 1) <= days)
		month++;
	*ret_year = year;
	*ret_month = month;
	*ret_day = (int)(days - days_from_date(year, month, 1)) + 1;
}

static int days_in_month(int year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

void http_date_format(int64_t s, char out[static HTTP_DATE_LEN])
{
	int year, month, day;
	int64_t days = s / 86400, rest = s % 86400;
	char text[64];

	date_from_days(days, &year, &month, &day);
	snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
		 weekdays + days % 7 * 3, day, months + (month - 1) * 3, year, (int)(rest / 3600),
		 (int)(rest / 60 % 60), (int)(rest % 60));
	memcpy(out, text, HTTP_DATE_LEN);
}

/* Whether the fixed characters of the format are in their places. */
static bool separators(const uint8_t *p)
{
	return p[3] == ',' && p[4] == ' ' && p[7] == ' ' && p[11] == ' ' && p[16] == ' ' &&
	       p[19] == ':' && p[22] == ':' && memcmp(p + 25, " GMT", 4) == 0;
}

bool http_date_parse(struct jeebs_bytes text, int64_t *ret_s)
{
	const uint8_t *p = text.p;
	int year, day, hour, minute, second, month = 0;

	if (text.n != HTTP_DATE_LEN || !separators(p) || !digits(p + 5, 2, &day) ||
	    !digits(p + 12, 4, &year) || !digits(p + 17, 2, &hour) || !digits(p + 20, 2, &minute) ||
	    !digits(p + 23, 2, &second))
		return false;
	while (month < 12 && memcmp(months + month * 3, p + 8, 3) != 0)
		month++;
	if (month++ == 12 || year < 1970 || day < 1 || day > days_in_month(year, month) ||
	    hour > 23 || minute > 59 || second > 59)
		return false;

	int64_t days = days_from_date(year, month, day);
	if (memcmp(weekdays + days % 7 * 3, p, 3) != 0)
		return false;
	*ret_s = days * 86400 + hour * 3600 + minute * 60 + second;
	return true;
}
