class Clock {
    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < 4; i++) {
            Thread busy = new Thread(() -> { for (;;) { System.nanoTime(); Thread.yield(); } });
            busy.setDaemon(true);
            busy.start();
        }
        for (;;) {
            System.out.println("clock " + System.currentTimeMillis() * 1000 + " " + System.nanoTime() / 1000);
            System.out.flush();
            Thread.sleep(2);
        }
    }
}
