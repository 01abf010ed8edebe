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
    /// The table's number, the length of its names, and whether it tells.
    pub(crate) look: String,
    /// Makes the table and what tells of changes.
    pub(crate) migrate: String,
}

/// What tells of changes: a function for all tables, and two triggers of each.
const FUNCTION: &str = "flipper_notify";
const ROW_TRIGGER: &str = "flipper_notify_row";
const TABLE_TRIGGER: &str = "flipper_notify_truncate";

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
            replace: format!("UPDATE {table} SET {item} = $2 WHERE {name} = $1 AND {item} = $3"),
            delete: format!("DELETE FROM {table} WHERE {name} = $1"),
            // All of it sees what was there before.
            delete_if: format!(
                "WITH gone AS (DELETE FROM {table} WHERE {name} = $1 AND {item} = $2 RETURNING 1) \
                 SELECT EXISTS (SELECT FROM gone), EXISTS (SELECT FROM {table} WHERE {name} = $1)"
            ),
            first_page: format!("{ordered} {order} OFFSET $1"),
            next_page: format!("{ordered} WHERE {name} COLLATE \"C\" > $1 {order}"),
            look: format!(
                "SELECT to_regclass({table}) IS NULL, to_regclass({table})::oid::bigint, \
                 (SELECT CASE WHEN atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND atttypmod > 4 THEN atttypmod - 4 END \
                  FROM pg_attribute WHERE attrelid = to_regclass({table}) AND attname = {name}), \
                 EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass({table}) AND tgname = {trigger} AND tgenabled <> 'D'), \
                 pg_is_in_recovery()",
                table = literal(&table),
                name = literal(&self.name_column),
                trigger = literal(ROW_TRIGGER),
            ),
            migrate: self.migrate(),
        }
    }

    /// What the migration runs, as one script. Two who run it at the same time wait for one another.
    fn migrate(&self) -> String {
        let (table, name, item) = (self.qualified(), quoted(&self.name_column), quoted(&self.item_column));
        let function = match &self.schema {
            Some(schema) => format!("{}.{FUNCTION}", quoted(schema)),
            None => FUNCTION.to_owned(),
        };
        let column = literal(&self.name_column);
        format!(
            "BEGIN;
             SELECT pg_advisory_xact_lock(hashtext('{FUNCTION}'));
             CREATE TABLE IF NOT EXISTS {table} ({name} varchar(512) PRIMARY KEY, {item} bytea NOT NULL);
             CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$
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
                     PERFORM pg_notify('flipper_' || TG_RELID, was);
                 END IF;
                 IF TG_OP <> 'DELETE' THEN
                     EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) USING NEW INTO is_now;
                     IF is_now IS DISTINCT FROM was THEN
                         PERFORM pg_notify('flipper_' || TG_RELID, is_now);
                     END IF;
                 END IF;
                 RETURN NULL;
             END
             $body$;
             DO $do$
             BEGIN
                 IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {regclass}::regclass AND tgname = '{ROW_TRIGGER}') THEN
                     CREATE TRIGGER {ROW_TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {table}
                         FOR EACH ROW EXECUTE FUNCTION {function}({column});
                     CREATE TRIGGER {TABLE_TRIGGER} AFTER TRUNCATE ON {table}
                         FOR EACH STATEMENT EXECUTE FUNCTION {function}({column});
                 END IF;
             END
             $do$;
             COMMIT;",
            regclass = literal(&table),
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
