//! Where flags are: the table, and the statements that are about it.

/// A table with a column for names and one for records.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    pub(crate) name_column: String,
    pub(crate) item_column: String,
}

impl Default for Table {
    /// That of flipper-client.
    fn default() -> Self {
        Self {
            schema: None,
            name: "feature_flags".to_owned(),
            name_column: "name".to_owned(),
            item_column: "item".to_owned(),
        }
    }
}

/// An identifier as it stands in a statement.
fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A text as it stands in a statement.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The statements of a store.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) get: String,
    pub(crate) put: String,
    pub(crate) create: String,
    pub(crate) replace: String,
    pub(crate) delete: String,
    pub(crate) delete_if: String,
    /// A page of a listing after so many, and one after a name.
    pub(crate) first_page: String,
    pub(crate) next_page: String,
    /// What [`Looked`](crate::server::Looked) has, in a row; without a table, none.
    pub(crate) look: String,
    /// Makes the table and what tells of changes.
    pub(crate) migrate: String,
}

/// What tells of changes: a function for all tables, and two triggers of each.
const FUNCTION: &str = "flipper_notify";
const ROW_TRIGGER: &str = "flipper_notify_row";
const TABLE_TRIGGER: &str = "flipper_notify_truncate";

/// What the function does. A payload has less than 8,000 bytes, and a write must not fail for its name: one that is too long for a flag is not told.
const NOTIFY: &str = "
DECLARE
    was text;
    is_now text;
BEGIN
    -- The channel is that of the table, the payload a flag's name; without one, of all of them.
    IF TG_LEVEL = 'STATEMENT' THEN
        PERFORM pg_notify('flipper_' || TG_RELID, '');
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) USING OLD INTO was;
        PERFORM pg_notify('flipper_' || TG_RELID, CASE WHEN octet_length(was) <= 2048 THEN was ELSE '' END);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) USING NEW INTO is_now;
        IF is_now IS DISTINCT FROM was THEN
            PERFORM pg_notify('flipper_' || TG_RELID, CASE WHEN octet_length(is_now) <= 2048 THEN is_now ELSE '' END);
        END IF;
    END IF;
    RETURN NULL;
END
";

impl Table {
    fn qualified(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }

    pub(crate) fn statements(&self) -> Statements {
        let (table, name, item) = (self.qualified(), quoted(&self.name_column), quoted(&self.item_column));
        // In the order of bytes, as the stores of S3 and of memory list them.
        let ordered = format!("SELECT {name}, {item} FROM {table}");
        let order = format!("ORDER BY {name} COLLATE \"C\" LIMIT $2");
        Statements {
            get: format!("SELECT {item} FROM {table} WHERE {name} = $1"),
            put: format!(
                "INSERT INTO {table} ({name}, {item}) VALUES ($1, $2) ON CONFLICT ({name}) DO UPDATE SET {item} = EXCLUDED.{item}"
            ),
            create: format!(
                "INSERT INTO {table} ({name}, {item}) VALUES ($1, $2) ON CONFLICT ({name}) DO NOTHING"
            ),
            replace: format!(
                "UPDATE {table} SET {item} = $2 WHERE {name} = $1 AND coalesce({item}, '') = $3"
            ),
            delete: format!("DELETE FROM {table} WHERE {name} = $1"),
            // All of it sees what was there before.
            delete_if: format!(
                "WITH gone AS (DELETE FROM {table} WHERE {name} = $1 AND coalesce({item}, '') = $2 RETURNING 1) \
                 SELECT EXISTS (SELECT FROM gone), EXISTS (SELECT FROM {table} WHERE {name} = $1)"
            ),
            first_page: format!("{ordered} WHERE {name} IS NOT NULL {order} OFFSET $1"),
            next_page: format!("{ordered} WHERE {name} COLLATE \"C\" > $1 {order}"),
            look: self.look(),
            migrate: self.migrate(),
        }
    }

    fn look(&self) -> String {
        let column = |name: &str, what: &str| {
            format!(
                "(SELECT {what} FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid \
                  WHERE a.attrelid = t.oid AND a.attname = {} AND a.attnum > 0 AND NOT a.attisdropped)",
                literal(name)
            )
        };
        // A domain is what it is made of.
        let of = "CASE y.typtype WHEN 'd' THEN y.typbasetype ELSE y.oid END";
        let triggers = format!(
            "pg_catalog.pg_trigger g WHERE g.tgrelid = t.oid AND g.tgname IN ('{ROW_TRIGGER}', '{TABLE_TRIGGER}')"
        );
        format!(
            "SELECT t.oid::bigint, {longest}, {names}, {records}, \
             t.relkind NOT IN ('r', 'p') OR EXISTS ( \
                 SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
                 WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL \
                 AND i.indnkeyatts = 1 AND a.attname = {name}), \
             t.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = t.oid) \
                 AND (SELECT count(*) = 2 FROM {triggers} AND g.tgenabled = 'A') AND NOT pg_catalog.pg_is_in_recovery(), \
             coalesce((SELECT pg_catalog.string_agg(g.tgname || ' ' || g.xmin::text, ' ' ORDER BY g.tgname) FROM {triggers}), '') \
             FROM pg_catalog.pg_class t WHERE t.oid = pg_catalog.to_regclass({table})",
            longest = column(
                &self.name_column,
                "CASE WHEN a.atttypid = 'pg_catalog.varchar'::regtype AND a.atttypmod > 4 THEN a.atttypmod - 4 END"
            ),
            names = column(
                &self.name_column,
                &format!("{of} IN ('pg_catalog.varchar'::regtype, 'pg_catalog.text'::regtype)")
            ),
            records = column(&self.item_column, &format!("{of} = 'pg_catalog.bytea'::regtype")),
            name = literal(&self.name_column),
            table = literal(&self.qualified()),
        )
    }

    /// What the migration runs, as one script. Two who run it at the same time wait for one another. What is there is left as it is, so that only one who
    /// makes something needs the rights for it.
    fn migrate(&self) -> String {
        let (table, name, item) = (self.qualified(), quoted(&self.name_column), quoted(&self.item_column));
        let function = match &self.schema {
            Some(schema) => format!("{}.{FUNCTION}", quoted(schema)),
            None => FUNCTION.to_owned(),
        };
        let (column, regclass) = (literal(&self.name_column), literal(&table));
        let trigger = |trigger: &str, of: &str| {
            format!(
                "IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {regclass}::regclass AND tgname = '{trigger}') THEN
                     CREATE TRIGGER {trigger} AFTER {of} EXECUTE FUNCTION {function}({column});
                 END IF;
                 -- Also for what a subscription brings, or a tool that restores.
                 IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {regclass}::regclass AND tgname = '{trigger}' AND tgenabled <> 'A') THEN
                     ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger};
                 END IF;"
            )
        };
        let steps = format!(
            "BEGIN
                 IF to_regclass({regclass}) IS NULL THEN
                     CREATE TABLE {table} ({name} varchar(512) PRIMARY KEY, {item} bytea NOT NULL);
                 END IF;
                 -- Of parts, views and the like, nobody tells.
                 IF (SELECT relkind FROM pg_class WHERE oid = {regclass}::regclass) <> 'r' THEN
                     RETURN;
                 END IF;
                 IF (SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure({signature})) IS DISTINCT FROM {body} THEN
                     CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body};
                 END IF;
                 {row}
                 {whole}
             END",
            signature = literal(&format!("{function}()")),
            body = literal(NOTIFY),
            row = trigger(ROW_TRIGGER, &format!("INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW")),
            whole = trigger(TABLE_TRIGGER, &format!("TRUNCATE ON {table} FOR EACH STATEMENT")),
        );
        format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('{FUNCTION}')); DO {}; COMMIT;",
            literal(&steps)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        let table = Table {
            schema: Some("a\"b".to_owned()),
            name: "t'; DROP TABLE x; --".to_owned(),
            name_column: "n\"".to_owned(),
            ..Table::default()
        };
        let statements = table.statements();
        assert_eq!(statements.get, r#"SELECT "item" FROM "a""b"."t'; DROP TABLE x; --" WHERE "n""" = $1"#);
        assert!(statements.look.contains(r#"to_regclass('"a""b"."t''; DROP TABLE x; --"')"#));
    }
}
