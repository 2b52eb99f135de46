// A client of a key-value server over HTTP, for Whitewater: JSON lines on standard input and output.
//
//	GET  /kv/KEY                                         -> {"value": TEXT or null}
//	PUT  /kv/KEY      {"value": TEXT}                    -> {}
//	POST /kv/KEY/cas  {"old": TEXT or null, "new": TEXT} -> {"swapped": BOOL}
//
// Go's own library is enough: go build client.go
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

type node struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// asked is a line from the harness.
type asked struct {
	Type      string          `json:"type"`
	ID        uint64          `json:"id"`
	Client    int             `json:"client"`
	TimeoutMS int             `json:"timeout_ms"`
	Nodes     []node          `json:"nodes"`
	F         string          `json:"f"`
	Key       string          `json:"key"`
	Value     json.RawMessage `json:"value"`
}

// answer is a line to it.
type answer struct {
	Type  string `json:"type"`
	ID    uint64 `json:"id"`
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
	Node  string `json:"node,omitempty"`
}

// failed is an error that says: the operation certainly did nothing and never will. Any other error
// says that nobody knows.
type failed struct{ why string }

func (f failed) Error() string { return f.why }

type client struct {
	node node
	http http.Client
}

func newClient(opened asked) *client {
	// A connection for each request: a late answer cannot be taken for another's, and Go's client
	// sends a request again by itself only on connections that it kept.
	transport := &http.Transport{DisableKeepAlives: true}
	return &client{
		// Clients spread over the nodes, and each stays with its own.
		node: opened.Nodes[opened.Client%len(opened.Nodes)],
		http: http.Client{
			Transport: transport,
			Timeout:   time.Duration(opened.TimeoutMS) * time.Millisecond,
		},
	}
}

// request sends one request, once, and puts the answer into found.
func (c *client) request(method, path string, body, found any) error {
	text := []byte{}
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return failed{err.Error()}
		}
	}
	// No GetBody: without it nothing can be sent a second time.
	request, err := http.NewRequest(method, "http://"+c.node.Address+path, io.NopCloser(bytes.NewReader(text)))
	if err != nil {
		return failed{err.Error()}
	}
	request.ContentLength = int64(len(text))
	if body == nil {
		request.Body = http.NoBody
	}
	response, err := c.http.Do(request)
	if err != nil {
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			// No connection, no request.
			return failed{err.Error()}
		}
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusOK {
		return json.Unmarshal(content, found)
	}
	// Whether a refusal is certain depends on the server. This one says so.
	var refusal struct {
		Error    string `json:"error"`
		Definite bool   `json:"definite"`
	}
	if json.Unmarshal(content, &refusal) == nil && refusal.Definite {
		return failed{refusal.Error}
	}
	return fmt.Errorf("answer %d: %.200s", response.StatusCode, content)
}

func text(number *int64) *string {
	if number == nil {
		return nil
	}
	text := strconv.FormatInt(*number, 10)
	return &text
}

func (c *client) invoke(line asked) (any, error) {
	path := "/kv/" + url.PathEscape(line.Key)
	switch line.F {
	case "read":
		var found struct{ Value *string }
		if err := c.request("GET", path, nil, &found); err != nil || found.Value == nil {
			return nil, err
		}
		return strconv.ParseInt(*found.Value, 10, 64)
	case "write":
		var value *int64
		if err := json.Unmarshal(line.Value, &value); err != nil {
			return nil, failed{err.Error()}
		}
		return nil, c.request("PUT", path, map[string]any{"value": text(value)}, &struct{}{})
	case "cas":
		var pair [2]*int64
		if err := json.Unmarshal(line.Value, &pair); err != nil {
			return nil, failed{err.Error()}
		}
		// Another value found is no failure: it is something that was seen.
		var found struct{ Swapped *bool }
		body := map[string]any{"old": text(pair[0]), "new": text(pair[1])}
		if err := c.request("POST", path+"/cas", body, &found); err != nil {
			return nil, err
		}
		if found.Swapped == nil {
			return nil, errors.New("an answer without swapped")
		}
		return *found.Swapped, nil
	}
	return nil, failed{"there is no operation " + line.F}
}

func main() {
	var current *client
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var line asked
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		said := answer{Type: "ok", ID: line.ID}
		switch line.Type {
		case "close":
			return
		case "open":
			current = newClient(line)
		default:
			value, err := current.invoke(line)
			said.Value, said.Node = value, current.node.Name
			if err != nil {
				said.Type, said.Value, said.Error = "info", nil, err.Error()
				if errors.As(err, &failed{}) {
					said.Type = "fail"
				}
			}
		}
		// One line for each that was read, at once.
		if err := out.Encode(said); err != nil {
			os.Exit(1)
		}
	}
}
