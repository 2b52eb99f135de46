package main

import (
	"fmt"
	"time"
)

func main() {
	start := time.Now()
	for i := 0; i < 4; i++ {
		go func() {
			for {
				time.Now()
			}
		}()
	}
	for {
		fmt.Println("clock", time.Now().UnixMicro(), time.Since(start).Microseconds())
		time.Sleep(2 * time.Millisecond)
	}
}
