//! A line as words: separated by whitespace, grouped by single or double quotes.

/// The words of a line. A quote groups where a word begins and its partner follows; anywhere else
/// it is a character like others.
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = (first == '"' || first == '\'').then(|| rest[1..].split_once(first)).flatten();
        let (word, after) = match quoted {
            Some((word, after)) => (word, after),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_group_where_a_word_begins() {
        for (line, words) in [
            ("", &[][..]),
            ("  ls   /a ", &["ls", "/a"]),
            ("create /a \"with blanks\" x", &["create", "/a", "with blanks", "x"]),
            ("set /a 'it is' \"\"", &["set", "/a", "it is", ""]),
            ("set /a it's", &["set", "/a", "it's"]),
            ("set /a \"open end", &["set", "/a", "\"open", "end"]),
        ] {
            assert_eq!(split(line), words, "{line}");
        }
    }
}
