//! A page as the body of an answer: rendered, and compressed, as it is read.

use std::{
    convert::Infallible,
    io::{self, Write},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use flate2::{Compression, write::GzEncoder};
use hyper::body::{Body, Bytes, Frame};

use super::render::Rendering;

/// How much is rendered at once: small, as other scrapers wait meanwhile.
const PIECE: usize = 64 * 1024;

/// What an answer holds.
pub(crate) enum PageBody {
    /// A few words.
    Words(Option<Bytes>),
    /// A page.
    Plain(Rendering),
    /// A page, compressed.
    Gzip(Box<Gzip>),
    /// A page that has been read.
    End,
}

/// A page that is compressed.
pub(crate) struct Gzip {
    rendering: Rendering,
    encoder: GzEncoder<Vec<u8>>,
    piece: Vec<u8>,
}

impl PageBody {
    pub(crate) fn words(words: &'static str) -> Self {
        Self::Words(Some(Bytes::from_static(words.as_bytes())))
    }

    pub(crate) fn page(rendering: Rendering, gzip: bool) -> Self {
        if !gzip {
            return Self::Plain(rendering);
        }
        Self::Gzip(Box::new(Gzip {
            rendering,
            encoder: GzEncoder::new(Vec::new(), Compression::fast()),
            piece: Vec::new(),
        }))
    }

    /// The next piece, `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let (piece, more) = match self {
            Self::Words(words) => return words.take(),
            Self::Plain(rendering) => {
                let mut piece = Vec::with_capacity(PIECE + 1024);
                let more = rendering.fill(&mut piece, PIECE);
                (piece, more)
            }
            // What is written to memory is always written.
            Self::Gzip(gzip) => gzip.next().unwrap_or_default(),
            Self::End => return None,
        };
        if !more {
            *self = Self::End;
        }
        (!piece.is_empty()).then(|| piece.into())
    }
}

impl Gzip {
    fn next(&mut self) -> io::Result<(Vec<u8>, bool)> {
        loop {
            self.piece.clear();
            let more = self.rendering.fill(&mut self.piece, PIECE);
            self.encoder.write_all(&self.piece)?;
            if !more {
                self.encoder.try_finish()?;
            }
            let compressed = mem::take(self.encoder.get_mut());
            if !more || !compressed.is_empty() {
                return Ok((compressed, more));
            }
        }
    }
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::End | Self::Words(None))
    }
}
