//! A page as the body of a response: rendered and compressed while it is read.

use std::{
    convert::Infallible,
    io::{self, Write},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use flate2::{Compression, write::GzEncoder};
use hyper::body::{Body, Bytes, Frame};

use super::render::PageRenderer;

/// Bytes to render at once. Other scrapes wait meanwhile, so it is small.
const CHUNK_BYTES: usize = 64 * 1024;

pub(crate) enum PageBody {
    Text(Option<Bytes>),
    Plain(PageRenderer),
    Gzip(Box<GzipBody>),
    /// The whole page has been read.
    End,
}

pub(crate) struct GzipBody {
    renderer: PageRenderer,
    encoder: GzEncoder<Vec<u8>>,
    /// Rendered text on its way to the encoder.
    plain: Vec<u8>,
}

impl PageBody {
    pub(crate) fn text(text: &'static str) -> Self {
        Self::Text(Some(Bytes::from_static(text.as_bytes())))
    }

    pub(crate) fn page(renderer: PageRenderer, gzip: bool) -> Self {
        if !gzip {
            return Self::Plain(renderer);
        }
        Self::Gzip(Box::new(GzipBody {
            renderer,
            encoder: GzEncoder::new(Vec::new(), Compression::fast()),
            plain: Vec::new(),
        }))
    }

    /// The next chunk, `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let (chunk, more) = match self {
            Self::Text(text) => return text.take(),
            Self::Plain(renderer) => {
                let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
                let more = renderer.fill(&mut chunk, CHUNK_BYTES);
                (chunk, more)
            }
            // Writing to memory does not fail.
            Self::Gzip(gzip) => gzip.next().unwrap_or_default(),
            Self::End => return None,
        };
        if !more {
            *self = Self::End;
        }
        (!chunk.is_empty()).then(|| chunk.into())
    }
}

impl GzipBody {
    /// Renders until the encoder has output, and says whether more follows.
    fn next(&mut self) -> io::Result<(Vec<u8>, bool)> {
        loop {
            self.plain.clear();
            let more = self.renderer.fill(&mut self.plain, CHUNK_BYTES);
            self.encoder.write_all(&self.plain)?;
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
        Poll::Ready(self.next().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::End | Self::Text(None))
    }
}
