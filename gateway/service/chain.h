/* chain.h — the append-only logs of a tenant (ledger, audit, adjustments of its bill), each row bound
 * to the one before it by SHA-256.
 *
 * A row holds the hash of its predecessor; the CHAIN row holds the next seq and the hash of the
 * last row, so a changed, missing or inserted row shows. hash = SHA-256 of the row as it is stored.
 */
#ifndef MS_SERVICE_CHAIN_H
#define MS_SERVICE_CHAIN_H

#include "service/tables.h"

/* Fill seq and previous, store the row, move the head. Needs: a write transaction. */
MS_NODISCARD enum ms_code ms_chain_ledger(struct ms_txn *txn, struct ms_tenant_id tenant,
                                          struct ms_ledger_record *row, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_chain_audit(struct ms_txn *txn, struct ms_tenant_id tenant,
                                         struct ms_audit_record *row, struct ms_error *reterr);
MS_NODISCARD enum ms_code ms_chain_adjust(struct ms_txn *txn, struct ms_tenant_id tenant,
                                          struct ms_adjust_record *row, struct ms_error *reterr);

/* For verification: the hash that the successor of this row must name. */
void ms_chain_hash_ledger(const struct ms_ledger_record *row, uint8_t ret_hash[32]);
void ms_chain_hash_audit(const struct ms_audit_record *row, uint8_t ret_hash[32]);
void ms_chain_hash_adjust(const struct ms_adjust_record *row, uint8_t ret_hash[32]);
/* The chain of closed days has its head in the tenant's account (service/bill.h). */
void ms_chain_hash_day(const struct ms_day_record *row, uint8_t ret_hash[32]);

#endif
