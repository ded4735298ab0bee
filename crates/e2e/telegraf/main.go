// Writes metrics by Telegraf's own outputs for InfluxDB: telegraf OUTPUT URL CREDENTIAL, where OUTPUT is influxdb_v2 or influxdb.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/config"
	"github.com/influxdata/telegraf/logger"
	"github.com/influxdata/telegraf/metric"
	"github.com/influxdata/telegraf/plugins/outputs"
	"github.com/influxdata/telegraf/plugins/outputs/influxdb"
	"github.com/influxdata/telegraf/plugins/outputs/influxdb_v2"
	"github.com/influxdata/telegraf/selfstat"
)

// output is the plugin of that name as Telegraf makes it, with the settings that a user would write.
func output(name, url, credential string) (telegraf.Output, error) {
	plugin := outputs.Outputs[name]()
	log := logger.New("outputs", name, "")
	switch own := plugin.(type) {
	case *influxdb_v2.InfluxDB:
		own.URLs = []string{url}
		own.Token = config.NewSecret([]byte(credential))
		own.Organization = "acme"
		own.Bucket = "sensors"
		own.Log = log
	case *influxdb.InfluxDB:
		// version 1 knows a user and a password
		own.URLs = []string{url}
		own.Database = "sensors"
		own.Username = config.NewSecret([]byte("device"))
		own.Password = config.NewSecret([]byte(credential))
		own.Log = log
		own.Statistics = selfstat.NewCollector(map[string]string{})
	default:
		return nil, fmt.Errorf("no output %q", name)
	}
	if initializer, ok := plugin.(telegraf.Initializer); ok {
		if err := initializer.Init(); err != nil {
			return nil, err
		}
	}
	return plugin, plugin.Connect()
}

func run(name, url, credential string) error {
	plugin, err := output(name, url, credential)
	if err != nil {
		return err
	}
	defer plugin.Close()
	at := time.Date(2026, 11, 23, 7, 30, 0, 250_000_000, time.UTC)
	tags := map[string]string{"host": "pi 4,=", "cpu": "cpu0"}
	return plugin.Write([]telegraf.Metric{
		metric.New("cpu", tags, map[string]interface{}{"usage": 12.5, "count": int64(7), "on": true}, at),
		metric.New("mem", map[string]string{"host": "pi 4,="}, map[string]interface{}{"free": uint64(9)}, at.Add(time.Second)),
	})
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: telegraf OUTPUT URL CREDENTIAL")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
