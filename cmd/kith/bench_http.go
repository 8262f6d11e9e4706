package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// lines are kept connections to a hub, one for each caller. The client is as
// thin as can be, since it runs in the process that is measured.
type lines struct {
	address string
	mu      sync.Mutex
	open    map[int]*line
}

type line struct {
	conn net.Conn
	in   *bufio.Reader
}

func (l *lines) of(ctx context.Context, caller int) (*line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have := l.open[caller]; have != nil {
		return have, nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", l.address, err)
	}
	if l.open == nil {
		l.open = map[int]*line{}
	}
	l.open[caller] = &line{conn: conn, in: bufio.NewReaderSize(conn, 32<<10)}
	return l.open[caller], nil
}

// ask sends a request as it stands and reads the answer to its end.
func (l *lines) ask(ctx context.Context, caller int, request []byte) (status int, body []byte, err error) {
	x, err := l.of(ctx, caller)
	if err != nil {
		return 0, nil, err
	}
	if _, err := x.conn.Write(request); err != nil {
		return 0, nil, fmt.Errorf("send: %w", err)
	}
	answer, err := http.ReadResponse(x.in, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer: %w", err)
	}
	body, err = io.ReadAll(answer.Body)
	if closed := answer.Body.Close(); err == nil {
		err = closed
	}
	return answer.StatusCode, body, err
}

func (l *lines) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, x := range l.open {
		errs = append(errs, x.conn.Close())
	}
	l.open = nil
	return errors.Join(errs...)
}

// request is the text of one request.
func request(method, path, address, token string, headers map[string]string, body []byte) []byte {
	text := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n", method, path, address, token)
	for name, value := range headers {
		text = fmt.Appendf(text, "%s: %s\r\n", name, value)
	}
	if body != nil {
		text = fmt.Appendf(text, "Content-Length: %d\r\n", len(body))
	}
	return append(append(text, "\r\n"...), body...)
}
