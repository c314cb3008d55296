//! The reader against written files, and against its own writer.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn check(bytes: &[u8], expected: Expect) {
    let read = read("zoo.cfg", bytes);
    let entries = read.entries.iter().map(|e| format!("{}: {:?} = {:?}\n", e.line, e.key, e.value));
    let errors = read.errors.iter().map(|error| format!("{error}\n"));
    expected.assert_eq(&entries.chain(errors).collect::<String>());
}

#[test]
fn separators_are_equals_colon_and_blanks() {
    check(
        b"a=1\nb:2\nc 3\nd\t=\t4\ne = 5 = 6\nf\n  g  :7\x0c\nh==8\n=9\n",
        expect![[r#"
            1: "a" = "1"
            2: "b" = "2"
            3: "c" = "3"
            4: "d" = "4"
            5: "e" = "5 = 6"
            6: "f" = ""
            7: "g" = "7"
            8: "h" = "=8"
            9: "" = "9"
        "#]],
    );
}

#[test]
fn comments_and_blank_lines_are_counted_but_not_read() {
    check(
        b"# one\r\n\r\n  ! three\r\na=4 # not a comment\rb=5\n\n#c\\\nd=8",
        expect![[r##"
            4: "a" = "4 # not a comment"
            5: "b" = "5"
            8: "d" = "8"
        "##]],
    );
}

#[test]
fn a_continued_entry_has_the_line_of_its_beginning() {
    check(
        b"a=x,\\\n   y,\\\r\n\t# z\nb=1\\\\\nc=\\\n\nd=\\",
        expect![[r##"
            1: "a" = "x,y,# z"
            4: "b" = "1\\"
            5: "c" = ""
            7: "d" = ""
        "##]],
    );
}

#[test]
fn escapes_are_those_of_java() {
    check(
        br"a\=b\:c\ d=\t|\n|\r|\f|\q|\\|\u0041|\u00e9|\uD83D\uDE00",
        expect![[r#"
            1: "a=b:c d" = "|\n|\r|\u{c}|q|\\|A|é|😀"
        "#]],
    );
}

#[test]
fn each_bad_escape_is_an_error_of_its_line() {
    check(
        b"a=\\u12\nb=ok\nc=\\u12g4\nd=\\ud83d!\ne=\\udc00\n\\u00=f\n",
        expect![[r#"
            2: "b" = "ok"
            zoo.cfg line 1: malformed \uXXXX escape (allowed: \u with 4 hex digits, or \\ for a backslash)
            zoo.cfg line 3: malformed \uXXXX escape (allowed: \u with 4 hex digits, or \\ for a backslash)
            zoo.cfg line 4: \ud83d is half of a surrogate pair (allowed: \u with 4 hex digits, or \\ for a backslash)
            zoo.cfg line 5: \udc00 is half of a surrogate pair (allowed: \u with 4 hex digits, or \\ for a backslash)
            zoo.cfg line 6: malformed \uXXXX escape (allowed: \u with 4 hex digits, or \\ for a backslash)
        "#]],
    );
}

#[test]
fn utf_8_is_preferred_and_latin_1_is_the_rest() {
    check(
        "\u{feff}a=é".as_bytes(),
        expect![[r#"
        1: "a" = "é"
    "#]],
    );
    check(
        b"a=\xe9",
        expect![[r#"
        1: "a" = "é"
    "#]],
    );
}

#[test]
fn limits_are_errors() {
    let mut file = vec![b'#'; FILE_SIZE_MAX_BYTES];
    check(&file, expect![""]);
    file.push(b'#');
    check(
        &file,
        expect![[r#"
        zoo.cfg: the file has 1048577 bytes (allowed: at most 1048576 bytes)
    "#]],
    );

    let full = read("zoo.cfg", "a\n".repeat(ENTRIES_MAX).as_bytes());
    assert_eq!((full.entries.len(), full.errors.len()), (ENTRIES_MAX, 0));
    let over = read("zoo.cfg", "a\n".repeat(ENTRIES_MAX + 2).as_bytes());
    assert_eq!(over.entries.len(), ENTRIES_MAX);
    assert_eq!(
        over.errors[0].to_string(),
        "zoo.cfg line 4097: one entry too many (allowed: at most 4096 entries)"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let read = read("f", &bytes);
        prop_assert!(read.entries.len() + read.errors.len() <= bytes.len());
    }

    #[test]
    fn text_full_of_syntax_does_not_panic(text in "[a\\\\=:#! \t\r\nu0d8é\u{1f600}]{0,80}") {
        let read = read("f", text.as_bytes());
        let lines = text.lines().count() + text.matches('\r').count() + 1;
        prop_assert!(read.entries.iter().all(|entry| (entry.line as usize) <= lines));
    }

    #[test]
    fn a_written_entry_reads_back(key in "\\PC{1,20}|.{1,20}", value in any::<String>()) {
        let key = trim(&key);
        prop_assume!(!key.is_empty());
        let text = format!("# before\n{}\nlast=1\n", write_entry(key, trim(&value)));
        let read = read("f", text.as_bytes());
        let entry = Entry { key: key.to_owned(), value: trim(&value).to_owned(), line: 2 };
        let last = Entry { key: "last".to_owned(), value: "1".to_owned(), line: 3 };
        prop_assert_eq!(read, Properties { entries: vec![entry, last], errors: Vec::new() });
    }
}
