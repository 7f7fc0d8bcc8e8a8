'use strict';
// The three server tests of the guide that roomwire grew from. The bodies stand as they were published, only the
// URL is a parameter; what Jest would provide comes in as arguments.

module.exports = ({ url, WebSocket, describe, beforeEach, afterEach, test, expect }) => {
  describe('WebSocket Server', () => {
    let client;

    beforeEach((done) => {
      client = new WebSocket(url);
      client.on('open', done);
    });

    afterEach(() => {
      if (client.readyState === WebSocket.OPEN) {
        client.close();
      }
    });

    test('should receive welcome message on connection', (done) => {
      client.on('message', (data) => {
        const message = JSON.parse(data);
        expect(message.type).toBe('welcome');
        expect(message.clientId).toBeDefined();
        done();
      });
    });

    test('should echo ping with pong', (done) => {
      client.on('message', (data) => {
        const message = JSON.parse(data);
        if (message.type === 'pong') {
          expect(message.timestamp).toBeDefined();
          done();
        }
      });

      client.send(JSON.stringify({ type: 'ping' }));
    });

    test('should handle room joining', (done) => {
      const roomName = 'test-room';

      client.on('message', (data) => {
        const message = JSON.parse(data);
        if (message.type === 'joined_room') {
          expect(message.room).toBe(roomName);
          expect(message.members).toBeInstanceOf(Array);
          done();
        }
      });

      client.send(
        JSON.stringify({
          type: 'join',
          room: roomName,
        })
      );
    });
  });
};
