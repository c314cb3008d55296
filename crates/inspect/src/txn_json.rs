//! A transaction as a JSON object, for programs: everything that the record holds.
//!
//! Zxids and sessions are hexadecimal text, since they do not fit into JSON's numbers; data is
//! base64, null data is null.

use crate::txn_text::name;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use wire::{Acls, CreateKind, Txn, TxnRecord};

/// The object; `offset` is where the record begins in its file.
pub(crate) fn object(record: &TxnRecord<'_>, file: &str, offset: u64) -> Value {
    let header = &record.header;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("file", json!(file));
    put("offset", json!(offset));
    put("zxid", hex(header.zxid));
    put("time", json!(header.time));
    put("session", hex(header.client_id));
    put("cxid", json!(header.cxid));
    put("type", json!(name(&record.txn)));
    if let Some(digest) = &record.digest {
        put("digest", json!({ "version": digest.version, "tree": format!("{:#x}", digest.tree) }));
    }
    put_body(&mut object, &record.txn);
    Value::Object(object)
}

fn put_body(object: &mut Map<String, Value>, txn: &Txn<'_>) {
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    match txn {
        Txn::Create(create) => {
            put("path", json!(create.path));
            put("data", base64(create.data));
            put("acl", acl(&create.acl));
            put("ephemeral", json!(create.ephemeral));
            put("parent_cversion", json!(create.parent_cversion));
            if let CreateKind::Ttl(ttl_ms) = create.kind {
                put("ttl", json!(ttl_ms));
            }
        }
        Txn::Delete { path, .. } => {
            put("path", json!(path));
        }
        Txn::SetData { path, data, version, .. } => {
            put("path", json!(path));
            put("data", base64(*data));
            put("version", json!(version));
        }
        Txn::SetAcl { path, acl: list, version } => {
            put("path", json!(path));
            put("acl", acl(list));
            put("version", json!(version));
        }
        Txn::Check { path, version } => {
            put("path", json!(path));
            put("version", json!(version));
        }
        Txn::CreateSession { timeout_ms } => {
            put("timeout", json!(timeout_ms));
        }
        Txn::CloseSession { paths } => {
            let paths = paths.map(|paths| paths.iter().map(|path| path.into_owned()).collect());
            put("paths", json!(paths.map(|paths: Vec<String>| paths)));
        }
        Txn::Error(code) => {
            put("error", json!(code));
        }
        Txn::Multi(multi) => {
            let parts = multi.iter().map(|(_, part)| {
                let mut object = Map::new();
                object.insert("type".to_owned(), json!(name(&part)));
                put_body(&mut object, &part);
                Value::Object(object)
            });
            put("parts", parts.collect());
        }
    }
}

fn hex(value: i64) -> Value {
    json!(format!("{value:#x}"))
}

fn base64(data: Option<&[u8]>) -> Value {
    data.map_or(Value::Null, |data| json!(BASE64_STANDARD.encode(data)))
}

fn acl(list: &Acls<'_>) -> Value {
    let entries = list
        .to_vec()
        .into_iter()
        .map(|acl| json!({ "perms": acl.perms, "scheme": acl.id.scheme, "id": acl.id.id }));
    entries.collect()
}
