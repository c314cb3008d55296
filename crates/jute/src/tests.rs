//! Properties of the primitives: what is written reads back, what is cut is missed, what follows
//! is left alone.

use crate::{Decode, Encode, Error, Reader, Writer, put_string};
use proptest::prelude::*;

/// One field of a record.
#[derive(Clone, Debug, PartialEq)]
enum Field {
    Int(i32),
    Long(i64),
    Bool(bool),
    Buffer(Option<Vec<u8>>),
    Text(String),
    Vector(Vec<Text>),
}

#[derive(Clone, Debug, PartialEq)]
struct Text(String);

impl Encode for Text {
    fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, &self.0);
    }
}

impl<'a> Decode<'a> for Text {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Error> {
        reader.string()?.map(|text| Text(text.into_owned())).ok_or(Error::BadLength(-1))
    }
}

impl Field {
    fn write<'a>(&self, to: Writer<'a>) -> Writer<'a> {
        match self {
            Field::Int(value) => to.int(*value),
            Field::Long(value) => to.long(*value),
            Field::Bool(value) => to.bool(*value),
            Field::Buffer(value) => to.buffer(value.as_deref()),
            Field::Text(value) => to.string(value),
            Field::Vector(values) => to.vector(values),
        }
    }

    /// A field of the same type as this one.
    fn read(&self, from: &mut Reader<'_>) -> Result<Field, Error> {
        Ok(match self {
            Field::Int(_) => Field::Int(from.int()?),
            Field::Long(_) => Field::Long(from.long()?),
            Field::Bool(_) => Field::Bool(from.bool()?),
            Field::Buffer(_) => Field::Buffer(from.buffer()?.map(<[u8]>::to_vec)),
            Field::Text(_) => Field::Text(Text::decode(from)?.0),
            Field::Vector(_) => {
                let count = from.count(4)?.ok_or(Error::BadLength(-1))?;
                let values: Result<Vec<Text>, Error> =
                    (0..count).map(|_| Text::decode(from)).collect();
                Field::Vector(values?)
            }
        })
    }
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        any::<i32>().prop_map(Field::Int),
        any::<i64>().prop_map(Field::Long),
        any::<bool>().prop_map(Field::Bool),
        any::<Option<Vec<u8>>>().prop_map(Field::Buffer),
        any::<String>().prop_map(Field::Text),
        prop::collection::vec(any::<String>().prop_map(Text), 0..4).prop_map(Field::Vector),
    ]
}

fn record() -> impl Strategy<Value = Vec<Field>> {
    prop::collection::vec(field(), 1..8)
}

fn encoded(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    fields.iter().fold(Writer::new(&mut bytes), |to, field| field.write(to));
    bytes
}

fn decoded(fields: &[Field], from: &mut Reader<'_>) -> Result<Vec<Field>, Error> {
    fields.iter().map(|field| field.read(from)).collect()
}

proptest! {
    #[test]
    fn what_is_written_reads_back(fields in record(), behind in any::<Vec<u8>>()) {
        let mut bytes = encoded(&fields);
        bytes.extend_from_slice(&behind);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(decoded(&fields, &mut reader), Ok(fields));
        prop_assert_eq!(reader.rest(), &behind[..]);
    }

    #[test]
    fn a_record_that_is_cut_anywhere_is_refused(fields in record()) {
        let bytes = encoded(&fields);
        for end in 0..bytes.len() {
            let read = decoded(&fields, &mut Reader::new(&bytes[..end]));
            prop_assert!(matches!(read, Err(Error::Truncated { .. })), "{:?} at {}", read, end);
        }
    }

    #[test]
    fn any_bytes_read_as_something_or_are_refused(
        fields in record(),
        bytes in any::<Vec<u8>>(),
    ) {
        let mut reader = Reader::new(&bytes);
        if let Ok(read) = decoded(&fields, &mut reader) {
            // Nothing that was read can be larger than the bytes that it came from, but for
            // replacement characters, which take three for one.
            let size = bytes.len() - reader.rest().len();
            prop_assert!(encoded(&read).len() <= 3 * size);
        }
    }

    #[test]
    fn a_longer_field_than_allowed_is_refused(bytes in any::<Vec<u8>>(), limit in 0..64_usize) {
        let mut out = Vec::new();
        crate::put_buffer(&mut out, Some(&bytes));
        let read = Reader::with_length_max(&out, limit).buffer();
        if bytes.len() <= limit {
            prop_assert_eq!(read, Ok(Some(&bytes[..])));
        } else {
            prop_assert_eq!(read, Err(Error::BadLength(bytes.len() as i32)));
        }
    }
}
