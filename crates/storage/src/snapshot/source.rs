//! A snapshot's uncompressed bytes, through a window that grows only with what is really there.

use super::xerial::Decompressor;
use crate::{Compression, DiskFile};
use flate2::bufread::MultiGzDecoder;
use simd_adler32::Adler32;
use std::io::{self, BufReader, Read};

/// The window, and the checksum of all that went through it.
pub(super) struct Source<F> {
    stream: Stream<F>,
    window: Vec<u8>,
    /// The stream's offset of the window's first byte.
    window_at: u64,
    /// What of the window is done.
    done: usize,
    /// What of the window is in the checksum; at most `done`.
    hashed: usize,
    checksum: Adler32,
    ended: bool,
}

enum Stream<F> {
    Plain(FileStream<F>),
    Gzip(MultiGzDecoder<BufReader<FileStream<F>>>),
    Snappy(Box<Decompressor<BufReader<FileStream<F>>>>),
}

impl<F: DiskFile> Source<F> {
    pub(super) fn open(file: F, compression: Compression) -> io::Result<Source<F>> {
        let stream = FileStream { file, offset: 0 };
        let buffered = |stream| BufReader::with_capacity(CHUNK_SIZE, stream);
        let stream = match compression {
            Compression::None => Stream::Plain(stream),
            Compression::Gzip => Stream::Gzip(MultiGzDecoder::new(buffered(stream))),
            Compression::Snappy => Stream::Snappy(Box::new(Decompressor::new(buffered(stream))?)),
        };
        Ok(Source {
            stream,
            window: Vec::new(),
            window_at: 0,
            done: 0,
            hashed: 0,
            checksum: Adler32::new(),
            ended: false,
        })
    }

    /// The offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.window_at + self.done as u64
    }

    /// What is at hand from the position on.
    pub(super) fn ready(&self) -> &[u8] {
        &self.window[self.done..]
    }

    /// The `size` bytes before the position; the window still holds them.
    pub(super) fn taken(&self, size: usize) -> &[u8] {
        &self.window[self.done - size..self.done]
    }

    pub(super) fn take(&mut self, size: usize) {
        debug_assert!(size <= self.ready().len());
        self.done += size;
    }

    /// The Adler-32 of everything before the position.
    pub(super) fn checksum(&mut self) -> u64 {
        self.checksum.write(&self.window[self.hashed..self.done]);
        self.hashed = self.done;
        u64::from(self.checksum.finish())
    }

    /// Reads until `size` bytes are at hand or the stream ends; says which.
    pub(super) fn fill(&mut self, size: usize) -> io::Result<bool> {
        if self.ready().len() >= size {
            return Ok(true);
        }
        self.checksum();
        self.window.drain(..self.done);
        self.window_at += self.done as u64;
        (self.done, self.hashed) = (0, 0);
        while self.window.len() < size && !self.ended {
            self.read_chunk()?;
        }
        Ok(self.window.len() >= size)
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        let have = self.window.len();
        self.window.resize(have + CHUNK_SIZE, 0);
        let target = &mut self.window[have..];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(target),
            Stream::Gzip(stream) => stream.read(target),
            Stream::Snappy(stream) => stream.read(target),
        };
        self.window.truncate(have + read.as_ref().map_or(0, |read| *read));
        self.ended = read? == 0;
        Ok(())
    }
}

impl<F> std::fmt::Debug for Source<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("window_at", &self.window_at).finish_non_exhaustive()
    }
}

/// A file read from its beginning.
struct FileStream<F> {
    file: F,
    offset: u64,
}

impl<F: DiskFile> Read for FileStream<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.offset, buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// How much is read at a time, in bytes.
const CHUNK_SIZE: usize = 1024 * 1024;
