/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ruleset: a batch of nf_tables changes to one table, which the kernel takes whole or
 * not at all.
 *
 * Errors are sticky: build everything, ruleset_commit() says what went wrong.
 * Values that a rule loads live in 32-bit registers, numbered from 0 here; a longer
 * value takes several.
 */
#ifndef TCPREPAIR_RULESET_H
#define TCPREPAIR_RULESET_H

#include <stdbool.h>
#include <stdint.h>

#include <libnftnl/rule.h>

#include "base/buf.h"
#include "netlink.h"

/* Ceiling of one batch. It holds about 260,000 set elements of IPv6 flows. */
#define RULESET_MAX_BYTES (32u << 20)

struct ruleset {
	struct buf buf;
	const char *table; /* of the family inet */
	struct nftnl_rule *rule;
	uint32_t seq, set_id;
	size_t last; /* offset of the last message, which asks for the acknowledgement */
	int error;
};

void ruleset_init(struct ruleset *b, const char *table);
/* Sends the batch and frees it. Returns 0 or a negative errno. */
int ruleset_commit(struct ruleset *b, struct netlink *n);

/* @flags: NFT_TABLE_F_*. The commit fails with -EEXIST when a table of that name exists. */
void ruleset_add_table(struct ruleset *b, uint32_t flags);
void ruleset_delete_table(struct ruleset *b);

/*
 * Adds a set or, if @data_n is not 0, a map. Lengths are in bytes. The types are only shown in
 * listings.
 */
void ruleset_add_set(struct ruleset *b, const char *name, uint32_t key_type, uint32_t key_n,
		     uint32_t data_type, uint32_t data_n);

/* A key, perhaps followed by its data. Each is padded to 4 bytes, as in registers. */
struct ruleset_element {
	uint8_t b[40];
};

/*
 * Inserts (@add) or deletes elements of one set, which fn(@data, i) makes. Deleting a missing
 * element is -ENOENT.
 */
typedef struct ruleset_element (*ruleset_element_fn)(const void *data, uint32_t i);
void ruleset_elements(struct ruleset *b, bool add, const char *set, uint32_t key_n, uint32_t data_n,
		      ruleset_element_fn fn, const void *data, uint32_t count);

/* @type is "filter" or "nat" for a base chain on @hook, or NULL for a chain that rules jump to. */
void ruleset_add_chain(struct ruleset *b, const char *name, const char *type, uint32_t hook,
		       int32_t priority);
void ruleset_flush_chain(struct ruleset *b, const char *name);

void ruleset_rule(struct ruleset *b, const char *chain);
void ruleset_rule_end(struct ruleset *b);

/* Expressions of the current rule. When a match fails, the rule's evaluation ends. */
void rule_load_meta(struct ruleset *b, uint32_t key, uint32_t reg);
void rule_load_payload(struct ruleset *b, uint32_t base, uint32_t offset, uint32_t n, uint32_t reg);
/* Loads a field of the connection's original direction. */
void rule_load_ct(struct ruleset *b, uint32_t key, uint32_t reg);
/*
 * Loads a property of the packet's socket. Ends the rule when the packet belongs to no socket of
 * this host.
 */
void rule_load_socket(struct ruleset *b, uint32_t key, uint32_t reg);
void rule_mask_u8(struct ruleset *b, uint32_t reg, uint8_t mask);
void rule_match_u8(struct ruleset *b, uint32_t reg, uint8_t value);
/* Matches values of at least @value, in network order. */
void rule_from_u16(struct ruleset *b, uint32_t reg, uint16_t value);
void rule_match_set(struct ruleset *b, const char *set, uint32_t reg);
/* Matches keys of the map, and loads their data into @reg. */
void rule_match_map(struct ruleset *b, const char *map, uint32_t reg);
void rule_dnat(struct ruleset *b, uint32_t family, uint32_t reg_addr, uint32_t reg_port);
/* Changes the destination address, not the port. */
void rule_dnat_address(struct ruleset *b, uint32_t family, uint32_t reg_addr);
void rule_masquerade(struct ruleset *b);
void rule_notrack(struct ruleset *b);
/* @chain is the target of NFT_JUMP or NFT_GOTO, otherwise NULL. */
void rule_verdict(struct ruleset *b, int verdict, const char *chain);

#endif
