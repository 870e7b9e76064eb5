/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service-notify: what the service manager is told (sd_notify(3)), if there is one. */
#ifndef BASE_SERVICE_NOTIFY_H
#define BASE_SERVICE_NOTIFY_H

void service_notify_ready(void);
/* It ends, and takes its time. */
void service_notify_stopping(void);
/* One line, which `systemctl status` shows. */
void service_notify_status(const char *line);

#endif
