//! The container of the snappy-java library: a header of its own, then blocks with their lengths.
//!
//! Eight bytes of magic, the version and the oldest compatible version, then for each block of up
//! to 32 KiB its compressed length and a raw snappy block. Where a length is due the header may be
//! repeated: streams that were joined. It has nothing to do with snappy's own framing format.

use std::io::{self, BufRead, Read};

/// What a stream opens with.
pub(super) const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

/// Cuts a stream into blocks and compresses them.
pub(super) struct Compressor {
    encoder: snap::raw::Encoder,
    /// Less than a block.
    block: Vec<u8>,
    compressed: Vec<u8>,
    output: Vec<u8>,
}

impl Compressor {
    pub(super) fn new() -> Compressor {
        let mut output = MAGIC.to_vec();
        jute::put_int(&mut output, VERSION);
        jute::put_int(&mut output, VERSION);
        Compressor {
            encoder: snap::raw::Encoder::new(),
            block: Vec::with_capacity(BLOCK_SIZE),
            compressed: vec![0; snap::raw::max_compress_len(BLOCK_SIZE)],
            output,
        }
    }

    /// What is ready for the file; the caller empties it.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = BLOCK_SIZE - self.block.len();
            let (head, rest) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(head);
            if self.block.len() == BLOCK_SIZE {
                self.end_block()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        Ok(self.output)
    }

    fn end_block(&mut self) -> io::Result<()> {
        let size = self.encoder.compress(&self.block, &mut self.compressed)?;
        jute::put_buffer(&mut self.output, Some(&self.compressed[..size]));
        self.block.clear();
        Ok(())
    }
}

/// Reads the container.
pub(super) struct Decompressor<R> {
    input: R,
    decoder: snap::raw::Decoder,
    compressed: Vec<u8>,
    block: Vec<u8>,
    /// What of the block is taken.
    done: usize,
}

impl<R: BufRead> Decompressor<R> {
    /// Reads and checks the header.
    pub(super) fn new(mut input: R) -> io::Result<Decompressor<R>> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        check(magic == MAGIC, "no snappy-java stream")?;
        read_versions(&mut input)?;
        Ok(Decompressor {
            input,
            decoder: snap::raw::Decoder::new(),
            compressed: Vec::new(),
            block: Vec::new(),
            done: 0,
        })
    }

    /// False at the end of the stream.
    fn next_block(&mut self) -> io::Result<bool> {
        let len = loop {
            if self.input.fill_buf()?.is_empty() {
                return Ok(false);
            }
            let mut word = [0; 4];
            self.input.read_exact(&mut word)?;
            if word != MAGIC[..4] {
                break i32::from_be_bytes(word);
            }
            let mut rest = [0; 4];
            self.input.read_exact(&mut rest)?;
            check(rest == MAGIC[4..], "a repeated header is damaged")?;
            read_versions(&mut self.input)?;
        };
        let len = u64::try_from(len).map_err(|_| invalid("a block's length is negative"))?;
        self.compressed.clear();
        // Grows with what is there, whatever the length claims.
        (&mut self.input).take(len).read_to_end(&mut self.compressed)?;
        check(self.compressed.len() as u64 == len, "a block is cut short")?;
        let size = snap::raw::decompress_len(&self.compressed)?;
        check(size <= EXPANSION_MAX * self.compressed.len(), "a block's size is impossible")?;
        self.block.resize(size, 0);
        let size = self.decoder.decompress(&self.compressed, &mut self.block)?;
        self.block.truncate(size);
        self.done = 0;
        Ok(true)
    }
}

impl<R: BufRead> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.done == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let size = buffer.len().min(self.block.len() - self.done);
        buffer[..size].copy_from_slice(&self.block[self.done..self.done + size]);
        self.done += size;
        Ok(size)
    }
}

fn read_versions(input: &mut impl Read) -> io::Result<()> {
    let mut versions = [0; 8];
    input.read_exact(&mut versions)?;
    let [.., a, b, c, d] = versions;
    check(i32::from_be_bytes([a, b, c, d]) <= VERSION, "a newer snappy-java stream")
}

fn check(good: bool, what: &'static str) -> io::Result<()> {
    if good { Ok(()) } else { Err(invalid(what)) }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Of the container, and the oldest that its readers must know.
const VERSION: i32 = 1;
/// The library's default, in bytes.
const BLOCK_SIZE: usize = 32 * 1024;
/// Three bytes of a raw block stand for 64 at most.
const EXPANSION_MAX: usize = 22;
