//! A TCP proxy on 127.0.0.1 between a client and a server, to cut connections as a network does.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

#[derive(Default)]
struct State {
    over: AtomicBool,
    /// Whether new connections are refused.
    refuses: AtomicBool,
    made: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

/// A proxy; dropped, it ends with its connections.
pub struct Proxy {
    state: Arc<State>,
    address: SocketAddr,
}

impl Proxy {
    /// Starts one in front of a port of 127.0.0.1.
    ///
    /// # Panics
    /// Where there is no port for it.
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client
                    && !shared.refuses.load(Ordering::SeqCst)
                {
                    // One that cannot be made is a broken one.
                    let _broken = join(&shared, client, server);
                }
            }
        });
        Self { state, address }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections were made through it.
    pub fn made(&self) -> u64 {
        self.state.made.load(Ordering::SeqCst)
    }

    /// Cuts all connections, wherever they are in their bytes.
    pub fn cut(&self) {
        let mut open = self
            .state
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            let _is_closed_anyway = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether new connections are refused from now on.
    pub fn refuse(&self, refuses: bool) {
        self.state.refuses.store(refuses, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        self.cut();
        // So that the listener sees it.
        let _woken = TcpStream::connect(self.address);
    }
}

fn join(state: &State, client: TcpStream, server: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server))?;
    state.made.fetch_add(1, Ordering::SeqCst);
    let ends = [client.try_clone()?, server.try_clone()?];
    state
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(ends);
    let pairs = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (mut from, mut to) in pairs {
        thread::spawn(move || {
            let _cut = io::copy(&mut from, &mut to);
            let _is_closed_anyway = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}
