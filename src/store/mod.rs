//! ClickHouse: schema, writer, ledger.
