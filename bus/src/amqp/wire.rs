//! The socket below a connection: plain or with the TLS of the room `tls`, and one that can be cut at any time. The
//! protocol is lapin's, whose thread reads and writes here.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_rs::{
    Runtime, Tokio,
    traits::{Executor, Reactor, RuntimeKit},
    util::Task,
};
use futures_util::{
    Stream,
    io::{AsyncRead as FuturesRead, AsyncWrite as FuturesWrite},
    task::AtomicWaker,
};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::options::AmqpOptions;

/// From the first packet to the end of the login.
const WITHIN: Duration = Duration::from_secs(15);

/// For what a broker that has hung up said last, such as why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Opens a connection and logs in, within fifteen seconds. The second part cuts it.
///
/// # Errors
/// What the network, TLS or the broker says.
pub(super) async fn connect(
    options: &AmqpOptions,
    purpose: &str,
) -> Result<(Connection, Arc<Cut>), lapin::Error> {
    let late = || lapin::Error::from(io::Error::from(io::ErrorKind::TimedOut));
    let socket = timeout(WITHIN, open(options)).await.map_err(|_| late())??;
    let cut = Arc::new(Cut::default());
    let wire = Wire {
        inner: socket,
        cut: Arc::clone(&cut),
    };
    // It connects once: connecting again is the supervisor's.
    let once = Mutex::new(Some(wire.compat()));
    let name = format!("{} ({purpose})", options.name);
    let logged_in = Connection::connector(
        options.uri.clone(),
        Runtime::new(Kit(Tokio::current())),
        async move |_uri, _runtime| {
            let wire = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            let wire = wire.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
            Ok(AsyncTcpStream::Plain(wire))
        },
        ConnectionProperties::default().with_connection_name(name.into()),
    );
    let unless_in_use = CutUnlessInUse(Some(&cut));
    let connection = tokio::select! {
        biased;
        connected = timeout(WITHIN, Box::pin(logged_in)) => connected.map_err(|_| late())??,
        // lapin waits for more from a broker that has hung up before the login.
        () = cut.hung_up() => return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
    };
    unless_in_use.in_use();
    Ok((connection, cut))
}

/// A login that was given up would hold its thread for as long as a silent broker likes.
struct CutUnlessInUse<'a>(Option<&'a Cut>);

impl CutUnlessInUse<'_> {
    fn in_use(mut self) {
        self.0 = None;
    }
}

impl Drop for CutUnlessInUse<'_> {
    fn drop(&mut self) {
        if let Some(cut) = self.0 {
            cut.now();
        }
    }
}

async fn open(options: &AmqpOptions) -> io::Result<Box<dyn Socket>> {
    let authority = &options.uri.authority;
    let tcp = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
    tcp.set_nodelay(true)?;
    Ok(match &options.trust {
        None => Box::new(tcp),
        Some(trust) => Box::new(trust.connect(&authority.host, tcp).await?),
    })
}

/// Anything that carries bytes both ways.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// Ends a connection from outside, whatever its thread waits for.
#[derive(Default)]
pub(super) struct Cut {
    done: AtomicBool,
    /// Told when the other side has nothing more to say.
    end: Notify,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Cut {
    /// Reading and writing fail from now on.
    pub fn now(&self) {
        self.done.store(true, Ordering::SeqCst);
        self.reader.wake();
        self.writer.wake();
    }

    /// Returns a moment after the other side has hung up: its last words are read first.
    async fn hung_up(&self) {
        self.end.notified().await;
        sleep(LAST_WORDS).await;
    }

    fn check(&self, waker: &AtomicWaker, cx: &Context<'_>) -> io::Result<()> {
        waker.register(cx.waker());
        match self.done.load(Ordering::SeqCst) {
            true => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            false => Ok(()),
        }
    }
}

/// A socket that can be cut.
pub(super) struct Wire {
    inner: Box<dyn Socket>,
    cut: Arc<Cut>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.check(&self.cut.reader, cx)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if read.is_ready() && buffer.filled().len() == before {
            self.cut.end.notify_one();
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.check(&self.cut.writer, cx)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check(&self.cut.writer, cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.check(&self.cut.writer, cx)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// What lapin runs on: tokio, but for the sockets, which it is given.
#[derive(Clone)]
struct Kit(Tokio);

impl fmt::Debug for Kit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kit")
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, f: F) -> T {
        self.0.block_on(f)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        f: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(f)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        f: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(f)
    }
}

impl Reactor for Kit {
    type TcpStream = Compat<Wire>;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: io::Read + io::Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl FuturesRead + FuturesWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        _address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::Error::from(io::ErrorKind::Unsupported)))
    }
}
