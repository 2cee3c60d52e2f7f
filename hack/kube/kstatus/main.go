// Reads objects of Kubernetes from stdin, one JSON text a line, and prints for each one line {"status", "message"}: what
// Flux and others make of it. It only hands objects to kstatus, and judges nothing itself.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The API server takes no larger object than 3 MiB.
const maxLineBytes = 4 << 20

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := judgeLines(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judgeLines(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLineBytes)
	verdicts := json.NewEncoder(out)
	for number := 1; lines.Scan(); number++ {
		result, err := judge(lines.Bytes())
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := verdicts.Encode(result); err != nil {
			return err
		}
	}
	return lines.Err()
}

func judge(text []byte) (verdict, error) {
	// Its own decoder, not encoding/json's: whole numbers must become int64.
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		return verdict{}, err
	}
	result, err := status.Compute(object)
	if err != nil {
		return verdict{}, err
	}
	return verdict{Status: result.Status.String(), Message: result.Message}, nil
}
