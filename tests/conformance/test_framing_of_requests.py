"""RFC 9112 sections 6 and 7, requests: where a body ends. Whatever two servers could count differently is refused."""

from __future__ import annotations

from tests.conformance.cases import Case, Forwarded, Refused, conformance
from tests.conformance.messages import chunked, post, raw

HELLO = post("Content-Length: 5", body="hello")
CHUNKED_HELLO = chunked("5\r\nhello\r\n", "0\r\n\r\n")
HIDDEN = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def sized(length: str, body: str = "hello") -> bytes:
    return post(f"Content-Length: {length}", body=body)


def coded(coding: str, body: str = "5\r\nhello\r\n0\r\n\r\n") -> bytes:
    return post(f"Transfer-Encoding: {coding}", body=body)


@conformance(
    Forwarded("9112 6.2", "Content-Length says how many bytes follow", HELLO, HELLO),
    Forwarded("9112 6.3", "without framing there is no body", raw("DELETE / HTTP/1.1", "Host: a"),
              raw("DELETE / HTTP/1.1", "Host: a")),
    Forwarded("9110 8.6", "a POST without a body says 0", post(), post("Content-Length: 0")),
    Forwarded("9110 8.6", "an empty body is none", sized("0", ""), post("Content-Length: 0")),
    Forwarded("9110 9.3.1", "a GET may have one", raw("GET / HTTP/1.1", "Host: a", "Content-Length: 2", body="ab"),
              raw("GET / HTTP/1.1", "Host: a", "Content-Length: 2", body="ab")),
    Forwarded("9110 9.3.2", "so may a DELETE",
              raw("DELETE / HTTP/1.1", "Host: a", "Content-Length: 2", body="ab"),
              raw("DELETE / HTTP/1.1", "Host: a", "Content-Length: 2", body="ab")),
    Forwarded("9110 9.3.7", "and OPTIONS", raw("OPTIONS / HTTP/1.1", "Host: a", "Content-Length: 2", body="ab"),
              raw("OPTIONS / HTTP/1.1", "Host: a", "Content-Length: 2", body="ab")),
    Forwarded("9112 6.2", "a body that looks like a request is one", sized(str(len(HIDDEN)), HIDDEN),
              sized(str(len(HIDDEN)), HIDDEN)),
    Forwarded("9110 8.6", "leading zeros are written out", sized("0005"), HELLO),
    Forwarded("9110 5.5", "blanks around the number are no part of it", sized(" \t5 "), HELLO),
    Refused("9112 6.3", "no sign", sized("+5"), 400, "content_length"),
    Refused("9112 6.3", "no negative number", sized("-5"), 400, "content_length"),
    Refused("9112 6.3", "no negative zero", sized("-0", ""), 400, "content_length"),
    Refused("9112 6.3", "no number that overflows downwards", sized("-123456789123456789123456789"), 400,
            "content_length"),
    Refused("9112 6.3", "no number that overflows", sized("18446744073709551621"), 400, "content_length"),
    Refused("9112 6.3", "no number of whatever length", sized("9" * 400), 400, "content_length"),
    Refused("9112 6.3", "no hexadecimal", sized("0x5"), 400, "content_length"),
    Refused("9112 6.3", "no octal mark", sized("0o5"), 400, "content_length"),
    Refused("9112 6.3", "no underscore", sized("1_0", "0123456789"), 400, "content_length"),
    Refused("9112 6.3", "no blank inside", sized("1 0", "0123456789"), 400, "content_length"),
    Refused("9112 6.3", "no fraction", sized("5.0"), 400, "content_length"),
    Refused("9112 6.3", "no exponent", sized("5e0"), 400, "content_length"),
    Refused("9112 6.3", "no letters", sized("abc"), 400, "content_length"),
    Refused("9112 6.3", "no digits of other scripts", sized("\xb2"), 400, "content_length"),
    Refused("9112 6.3", "not nothing", sized(""), 400, "content_length"),
    Refused("9110 8.6", "a list of lengths is refused", sized("5, 5"), 400, "content_length"),
    Refused("9112 6.3", "a list of different ones all the more", sized("5, 6"), 400, "content_length"),
    Refused("9110 8.6", "two equal lengths are refused", post("Content-Length: 5", "Content-Length: 5", body="hello"),
            400, "content_length"),
    Refused("9112 6.3", "two different lengths are refused",
            post("Content-Length: 5", "content-length: 0", body="hello"), 400, "content_length"),
    Refused("9112 6.3", "also without a body", post("Content-Length: 0", f"Content-Length: {len(HIDDEN)}", body=HIDDEN),
            400, "content_length"),
)  # fmt: skip
async def test_content_length(case: Case) -> None:
    await case.check()


@conformance(
    Forwarded("9112 7.1", "chunks are understood and sent on as chunks", CHUNKED_HELLO, CHUNKED_HELLO),
    Forwarded("9112 7", "the coding's name knows no case", coded("cHuNkEd"), CHUNKED_HELLO),
    Forwarded("9110 5.5", "a tab before it is a blank", coded("\tchunked"), CHUNKED_HELLO),
    Refused("9112 6.3", "with Content-Length it is refused",
            post("Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\nX"), 400, "framing"),
    Refused("9112 6.3", "in the other order too",
            post("Transfer-Encoding: chunked", "Content-Length: 5", body="0\r\n\r\n"), 400, "framing"),
    Refused("9112 6.1", "from HTTP/1.0 it is refused",
            raw("POST / HTTP/1.0", "Host: a", "Transfer-Encoding: chunked", body="0\r\n\r\n"), 400, "framing"),
    Refused("9112 6.1", "a coding under chunked that nobody understands is not implemented", coded("gzip, chunked"),
            501, "transfer_encoding"),
    Refused("9112 6.1", "whoever made it up", coded("x-mine, chunked"), 501, "transfer_encoding"),
    Refused("9112 6.3", "chunked is the last coding", coded("chunked, gzip"), 400, "transfer_encoding"),
    Refused("9112 6.3", "without chunked there is no end", coded("gzip"), 400, "transfer_encoding"),
    Refused("9112 6.1", "chunked comes once", coded("chunked, chunked"), 400, "transfer_encoding"),
    Refused("9112 7", "identity is no coding any more", coded("identity", ""), 400, "transfer_encoding"),
    Refused("9112 7", "chunked has no parameters", coded("chunked;q=1"), 400, "transfer_encoding"),
    Refused("9112 6.1", "what only looks like chunked is not", coded("xchunked"), 400, "transfer_encoding"),
    Refused("9112 6.1", "nor in quotes", coded('"chunked"'), 400, "transfer_encoding"),
    Refused("9112 6.1", "nor with bytes around it", coded("\xffchunked\xff"), 400, "transfer_encoding"),
    Refused("9112 6.1", "nor behind an empty element", coded(",chunked"), 400, "transfer_encoding"),
    Refused("9112 6.1", "nor before one", coded("chunked,"), 400, "transfer_encoding"),
    Refused("9112 6.1", "an empty coding is none", coded(""), 400, "transfer_encoding"),
    Refused("9112 6.1", "two lines of it are refused",
            post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body="0\r\n\r\n"), 400,
            "transfer_encoding"),
    Refused("9112 6.1", "one of them hidden among others too",
            post("Transfer-Encoding: chunked", "X: 1", "transfer-encoding: identity", body="0\r\n\r\n"), 400,
            "transfer_encoding"),
    Forwarded("9112 6.1", "a name that servers might take for it is not forwarded",
              post("Transfer_Encoding: chunked", "Content-Length: 5", body="hello"), HELLO),
    Forwarded("9112 6.2", "nor one that they might take for the length", post("Content_Length: 9", "Content-Length: 5",
              body="hello"), HELLO),
)  # fmt: skip
async def test_transfer_encoding(case: Case) -> None:
    await case.check()


def size(line: str, data: str = "hello\r\n") -> bytes:
    """One chunk under this size line, and the end."""
    return chunked(f"{line}\r\n{data}", "0\r\n\r\n")


@conformance(
    Forwarded("9112 7.1", "several chunks are one body", chunked("2\r\nhe\r\n", "3\r\nllo\r\n", "0\r\n\r\n"),
              CHUNKED_HELLO),
    Forwarded("9112 7.1", "no chunk is an empty body", chunked("0\r\n\r\n"), chunked("0\r\n\r\n")),
    Forwarded("9112 7.1", "sizes are hexadecimal in either case", chunked("A\r\n0123456789\r\n", "0\r\n\r\n"),
              chunked("a\r\n0123456789\r\n", "0\r\n\r\n")),
    Forwarded("9112 7.1", "zeros before a size mean nothing", size("0005"), CHUNKED_HELLO),
    Forwarded("9112 7.1", "several zeros are the last chunk", chunked("5\r\nhello\r\n", "000\r\n\r\n"), CHUNKED_HELLO),
    Forwarded("9112 7.1.1", "an extension is ignored, and not sent on", size("5;a"), CHUNKED_HELLO),
    Forwarded("9112 7.1.1", "also with a value", size("5;a=b"), CHUNKED_HELLO),
    Forwarded("9112 7.1.1", "also with a quoted value", size('5;a="b;\\"c"'), CHUNKED_HELLO),
    Forwarded("9112 7.1.1", "several of them too", size('5;a;b=c;d="e"'), CHUNKED_HELLO),
    Forwarded("9112 7.1.1", "blanks around their marks are bad, and ignored", size("5 ; a = b"), CHUNKED_HELLO),
    Forwarded("9112 7.1.1", "the last chunk may have one", chunked("5\r\nhello\r\n", "0;a=b\r\n\r\n"), CHUNKED_HELLO),
    Refused("9112 7.1.1", "a mark without an extension is malformed", size("5;"), 400, "chunk_size"),
    Refused("9112 7.1.1", "an extension without a name too", size("5;=b"), 400, "chunk_size"),
    Refused("9112 7.1.1", "one without a value", size("5;a="), 400, "chunk_size"),
    Refused("9112 7.1.1", "one with a quote that does not end", size('5;a="b'), 400, "chunk_size"),
    Refused("9112 7.1.1", "one with a blank inside", size("5;a b"), 400, "chunk_size"),
    Refused("9112 7.1.1", "one behind a comma", size("5,a"), 400, "chunk_size"),
    Refused("9112 7.1.1", "one with a NUL", size("5;a=\x00"), 400, "chunk_size"),
    Refused("9112 7.1.1", "one with a bare CR", size("5;a\r=b"), 400, "chunk_size"),
    Refused("9112 7.1.1", "one that begins with a bare CR", size("5\r;ab"), 400, "chunk_size"),
    Refused("9112 7.1.1", "one with a bare LF", size("5;a\n=b"), 400, "chunk_size"),
    Refused("9112 7.1.1", "one that is longer than any", size(f"5;a={'b' * 5000}"), 400, "chunk_size"),
    Refused("9112 7.1", "a size has no prefix", size("0x5"), 400, "chunk_size"),
    Refused("9112 7.1", "no sign", size("+5"), 400, "chunk_size"),
    Refused("9112 7.1", "not a negative one", size("-1"), 400, "chunk_size"),
    Refused("9112 7.1", "no underscore", size("0_5"), 400, "chunk_size"),
    Refused("9112 7.1", "no blank before it", size(" 5"), 400, "chunk_size"),
    Refused("9112 7.1", "none behind it", size("5 "), 400, "chunk_size"),
    Refused("9112 7.1", "no tab behind it", size("5\t"), 400, "chunk_size"),
    Refused("9112 7.1", "no other letters", size("Z"), 400, "chunk_size"),
    Refused("9112 7.1", "also behind good digits", size("5these-bytes-never-get-validated"), 400, "chunk_size"),
    Refused("9112 7.1", "no digits of other scripts", size("\xb2"), 400, "chunk_size"),
    Refused("9112 7.1", "not nothing", size(""), 400, "chunk_size"),
    Refused("9112 7.1", "no size that overflows", size("10000000000000005"), 400, "chunk_size"),
    Refused("9112 7.1", "none that overflows by far", size("f" * 300), 400, "chunk_size"),
    Refused("9112 7.1", "a size line ends in CRLF, not LF", chunked("5\nhello\r\n", "0\r\n\r\n"), 400, "chunk_size"),
    Refused("9112 7.1", "nor CR", chunked("5\rhello\r\n", "0\r\n\r\n"), 400, "chunk_size"),
    Refused("9112 7.1", "a chunk ends in CRLF, not LF", chunked("5\r\nhello\n", "0\r\n\r\n"), 400, "chunk_end"),
    Refused("9112 7.1", "nor CR", chunked("5\r\nhello\r", "0\r\n\r\n"), 400, "chunk_end"),
    Refused("9112 7.1", "nor nothing", chunked("5\r\nhello", "0\r\n\r\n"), 400, "chunk_end"),
    Refused("9112 7.1", "a chunk is not longer than its size", chunked("5\r\nhello!!\r\n", "0\r\n\r\n"), 400,
            "chunk_end"),
    Refused("9112 7.1", "nor shorter", chunked("6\r\nhello\r\n", "0\r\n\r\n"), 400, "chunk_end"),
    Refused("9112 7.1", "the last chunk has no data", chunked("0\r\n", "hello\r\n\r\n"), 400, "trailers"),
)  # fmt: skip
async def test_chunks(case: Case) -> None:
    await case.check()
