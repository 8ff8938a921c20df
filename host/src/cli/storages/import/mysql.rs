//! Reads Delfin's database from a dump of MySQL or MariaDB.
//!
//! Of the statements, `CREATE TABLE` gives the names of columns, and `INSERT` the rows. Texts can
//! have everything in them, so all statements are read token by token.

use super::delfin::{DelfinRow, DelfinTables, TABLES};

/// Reads the tables of a dump.
pub(super) fn read(dump: &[u8]) -> Result<DelfinTables, String> {
    let mut scanner = DumpScanner { rest: dump };
    let mut columns: Vec<(String, Vec<String>)> = Vec::new();
    let mut tables = DelfinTables::new();
    while let Some(token) = scanner.next()? {
        let statement = match &token {
            SqlToken::Word(word) => word.to_ascii_uppercase(),
            SqlToken::Name(_) | SqlToken::Text(_) | SqlToken::Symbol(_) => String::new(),
        };
        match statement.as_str() {
            "CREATE" => {
                if let Some(created) = scanner.created_table()? {
                    columns.push(created);
                }
            }
            "INSERT" => scanner.insert(&columns, &mut tables)?,
            _ => scanner.skip_statement(&token)?,
        }
    }
    if !tables.contains_key("access_info") {
        return Err("the dump has no rows of the table `access_info`".to_owned());
    }
    Ok(tables)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SqlToken {
    /// In backquotes.
    Name(String),
    Text(String),
    /// A keyword, a number or a bare name.
    Word(String),
    Symbol(u8),
}

struct DumpScanner<'d> {
    rest: &'d [u8],
}

impl DumpScanner<'_> {
    /// The next token; `None` at the end.
    fn next(&mut self) -> Result<Option<SqlToken>, String> {
        self.skip_blank();
        let Some(&first) = self.rest.first() else {
            return Ok(None);
        };
        Ok(Some(match first {
            b'`' => SqlToken::Name(self.quoted(b'`')?),
            b'\'' | b'"' => SqlToken::Text(self.quoted(first)?),
            _ => {
                let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$-+".contains(byte);
                let length = self.rest.iter().take_while(|byte| is_word(byte)).count();
                let (token, rest) = self.rest.split_at(length.max(1));
                self.rest = rest;
                if length == 0 {
                    SqlToken::Symbol(first)
                } else {
                    SqlToken::Word(String::from_utf8_lossy(token).into_owned())
                }
            }
        }))
    }

    /// The next token, which must exist.
    fn require(&mut self) -> Result<SqlToken, String> {
        self.next()?.ok_or_else(|| "the dump is cut off".to_owned())
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) {
        loop {
            let end = if self.rest.starts_with(b"-- ") || self.rest.starts_with(b"#") {
                after(self.rest, b"\n")
            } else if self.rest.starts_with(b"/*") {
                after(self.rest, b"*/")
            } else if self.rest.first().is_some_and(u8::is_ascii_whitespace) {
                1
            } else {
                return;
            };
            self.rest = &self.rest[end..];
        }
    }

    fn quoted(&mut self, quote: u8) -> Result<String, String> {
        let mut text = Vec::new();
        let mut bytes = self.rest[1..].iter().enumerate().peekable();
        while let Some((at, &byte)) = bytes.next() {
            if byte == b'\\' && quote != b'`' {
                let (_, escaped) = bytes.next().ok_or("the dump is cut off")?;
                text.push(unescaped(*escaped));
            } else if byte != quote {
                text.push(byte);
            } else if bytes.next_if(|(_, next)| **next == quote).is_some() {
                text.push(quote);
            } else {
                self.rest = &self.rest[at + 2..];
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
        }
        Err("the dump is cut off".to_owned())
    }

    /// Skips the rest of the statement that begins with this token.
    fn skip_statement(&mut self, first: &SqlToken) -> Result<(), String> {
        let mut token = Some(first.clone());
        while token.is_some_and(|token| token != SqlToken::Symbol(b';')) {
            token = self.next()?;
        }
        Ok(())
    }

    /// The table and its columns, after `CREATE`. `None` for anything but a table.
    fn created_table(&mut self) -> Result<Option<(String, Vec<String>)>, String> {
        let kind = self.require()?;
        if kind != SqlToken::Word("TABLE".to_owned()) {
            self.skip_statement(&kind)?;
            return Ok(None);
        }
        let mut name = None;
        let mut columns = Vec::new();
        let (mut depth, mut is_begin) = (0, false);
        loop {
            let token = self.require()?;
            match &token {
                SqlToken::Symbol(b';') => break,
                SqlToken::Symbol(b'(') => depth += 1,
                SqlToken::Symbol(b')') => depth -= 1,
                SqlToken::Name(text) if depth == 0 && name.is_none() => name = Some(text.clone()),
                // Keys begin with a word, and only names of columns with a name.
                SqlToken::Name(text) if depth == 1 && is_begin => columns.push(text.clone()),
                SqlToken::Name(_) | SqlToken::Text(_) | SqlToken::Word(_) | SqlToken::Symbol(_) => {
                }
            }
            is_begin = matches!(token, SqlToken::Symbol(b'(' | b',')) && depth == 1;
        }
        Ok(name.map(|name| (name, columns)))
    }

    /// Reads the rows of an `INSERT`.
    fn insert(
        &mut self,
        created: &[(String, Vec<String>)],
        tables: &mut DelfinTables,
    ) -> Result<(), String> {
        let table = loop {
            match self.require()? {
                SqlToken::Name(table) => break table,
                // `IGNORE` and `INTO`.
                SqlToken::Word(_) => {}
                SqlToken::Text(_) | SqlToken::Symbol(_) => {
                    return Err("an INSERT names no table".to_owned());
                }
            }
        };
        if !TABLES.contains(&table.as_str()) {
            return self.skip_statement(&SqlToken::Name(table));
        }
        let mut columns = Vec::new();
        loop {
            match self.require()? {
                SqlToken::Name(column) => columns.push(column),
                SqlToken::Word(word) if word.eq_ignore_ascii_case("VALUES") => break,
                SqlToken::Symbol(b';') => {
                    return Err(format!("an INSERT into `{table}` has no rows"));
                }
                SqlToken::Word(_) | SqlToken::Text(_) | SqlToken::Symbol(_) => {}
            }
        }
        if columns.is_empty() {
            let known = created.iter().find(|(name, _)| *name == table);
            let known = known.ok_or_else(|| {
                format!("the columns of `{table}` are unknown (dump with `CREATE TABLE`)")
            })?;
            columns.clone_from(&known.1);
        }
        let rows = tables.entry(table).or_default();
        while let Some(row) = self.row(&columns)? {
            rows.push(row);
        }
        Ok(())
    }

    /// The next row of an `INSERT`; `None` at its end.
    fn row(&mut self, columns: &[String]) -> Result<Option<DelfinRow>, String> {
        loop {
            match self.require()? {
                SqlToken::Symbol(b'(') => break,
                SqlToken::Symbol(b';') => return Ok(None),
                SqlToken::Name(_) | SqlToken::Text(_) | SqlToken::Word(_) | SqlToken::Symbol(_) => {
                }
            }
        }
        let mut values: Vec<Option<String>> = vec![None];
        loop {
            let value = match self.require()? {
                SqlToken::Symbol(b')') => break,
                SqlToken::Symbol(b',') => {
                    values.push(None);
                    continue;
                }
                SqlToken::Text(text) | SqlToken::Name(text) => Some(text),
                SqlToken::Word(word) if word.eq_ignore_ascii_case("NULL") => None,
                SqlToken::Word(word) => Some(word),
                SqlToken::Symbol(_) => continue,
            };
            // A text may follow the name of its character set.
            if let Some(last) = values.last_mut() {
                *last = value;
            }
        }
        if values.len() != columns.len() {
            let (found, wanted) = (values.len(), columns.len());
            return Err(format!("a row has {found} values for {wanted} columns"));
        }
        let row = columns.iter().cloned().zip(values);
        Ok(Some(
            row.filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        ))
    }
}

fn after(bytes: &[u8], end: &[u8]) -> usize {
    let at = bytes.windows(end.len()).position(|part| part == end);
    at.map_or(bytes.len(), |at| at + end.len())
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'Z' => 26,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = r#"
-- MySQL dump
/*!40101 SET NAMES utf8 */;
CREATE TABLE `access_info` (
  `created_at` datetime DEFAULT NULL,
  `storage_id` varchar(36) NOT NULL DEFAULT 'a,(b',
  `rest` text,
  PRIMARY KEY (`storage_id`),
  KEY `x` (`rest`(10))
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
LOCK TABLES `access_info` WRITE;
INSERT INTO `access_info` VALUES (NULL,'7','{\"host\": \"it''s; (1)\"}'),('2020-01-01 00:00:00','8',_binary 'é');
INSERT INTO `other` VALUES (1,'x;');
INSERT IGNORE INTO `storages` (`id`, `total_capacity`) VALUES ('7',-1);
"#;

    #[test]
    fn rows_have_the_names_of_their_columns() {
        let tables = read(DUMP.as_bytes()).unwrap();
        let access = &tables["access_info"];
        assert_eq!(access.len(), 2);
        assert_eq!(access[0]["storage_id"], "7");
        assert_eq!(access[0]["rest"], r#"{"host": "it's; (1)"}"#);
        assert_eq!(access[0].get("created_at"), None);
        assert_eq!(access[1]["rest"], "é");
        assert_eq!(tables["storages"][0]["total_capacity"], "-1");
        assert!(!tables.contains_key("other"));
    }

    #[test]
    fn a_dump_that_is_cut_off_is_an_error_at_every_byte_of_its_rows() {
        let begin = DUMP.find("INSERT INTO `access_info`").unwrap();
        let end = DUMP.find("'é');").unwrap() + "'é')".len();
        for length in begin + 10..end {
            assert!(read(&DUMP.as_bytes()[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn rows_without_known_columns_are_refused() {
        let error = read(b"INSERT INTO `access_info` VALUES (1);").unwrap_err();
        assert!(
            error.contains("columns of `access_info` are unknown"),
            "{error}"
        );
        let error = read(b"INSERT INTO `access_info` (`a`, `b`) VALUES (1);").unwrap_err();
        assert_eq!(error, "a row has 1 values for 2 columns");
    }
}
